"""The bundle that was served last, kept so that a restart needs no registry."""

import hashlib
import json
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from clv.files import replacing
from clv.settings import Settings

__all__ = ["LastServed"]


class LastServed:
    """A copy of the champion's bundle under `CLV_HOME`, one for each registered model.

    Several workers may keep the same version at once. What is read is checked by whoever loads it,
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
        kept = self._folder / number
        if not kept.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(dir=self._folder, prefix=".copy-") as folder:
                copy = shutil.copytree(bundle, Path(folder) / number)
                with suppress(OSError):  # another worker was faster
                    copy.rename(kept)
        with replacing(self._pointer) as part:
            part.write_text(json.dumps({"version": number}))
        for old in self._folder.iterdir():
            if old.is_dir() and old.name.isdecimal() and old.name != number:
                shutil.rmtree(old, ignore_errors=True)

    def find(self) -> tuple[str, Path] | None:
        """Number and folder of what was kept, or None."""
        try:
            number = str(json.loads(self._pointer.read_text())["version"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        kept = self._folder / number
        return (number, kept) if number.isdecimal() and kept.is_dir() else None
