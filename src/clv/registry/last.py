"""The bundle that was served last, kept so that a restart needs no registry."""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from clv.bundle.manifest import sha256_of
from clv.files import write_text
from clv.settings import Settings

__all__ = ["LastServed"]


class LastServed:
    """A copy of the champion's bundle under `CLV_HOME`, one for each registered model.

    Several workers may keep the same version at once, and one that was damaged or holds something
    else under the same number is replaced. What is read is checked by whoever loads it,
    as every bundle is.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        whose = f"{settings.registry_uri}\n{settings.model_name}".encode()
        name = hashlib.sha256(whose).hexdigest()[:16]
        self._folder = settings.root / "cache" / "last-served" / name
        self._pointer = self._folder / "version.json"

    def keep(self, number: str, bundle: Path) -> None:
        """Keep a version in place of the one before, whole or not at all."""
        fingerprint = _fingerprint(bundle)
        kept = self._folder / f"{number}-{fingerprint}"
        if not kept.is_dir() or _fingerprint(kept) != fingerprint:
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._folder, prefix=".copy-") as folder:
                copy = shutil.copytree(bundle, Path(folder) / kept.name)
                with suppress(OSError):  # there is none, or another worker was faster
                    kept.rename(Path(folder) / "damaged")
                with suppress(OSError):
                    copy.rename(kept)
        write_text(self._pointer, json.dumps({"version": number, "folder": kept.name}))
        for old in self._folder.iterdir():
            if old.is_dir() and not old.name.startswith(".") and old != kept:
                shutil.rmtree(old, ignore_errors=True)

    def find(self) -> tuple[str, Path] | None:
        """Number and folder of what was kept, or None."""
        try:
            pointer = json.loads(self._pointer.read_text())
            number, name = str(pointer["version"]), str(pointer["folder"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        kept = self._folder / name
        return (number, kept) if name == kept.name and kept.is_dir() else None


def _fingerprint(bundle: Path) -> str:
    """What a bundle holds, in 16 digits."""
    files = sorted(path for path in bundle.iterdir() if path.is_file())
    text = "\n".join(f"{sha256_of(path)} {path.name}" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
