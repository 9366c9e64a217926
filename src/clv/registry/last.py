"""The bundle that was served last, kept so that a restart needs no registry."""

import hashlib
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from clv.bundle.manifest import sha256_of
from clv.files import write_text
from clv.settings import Settings
from clv.sql import database_url

__all__ = ["LastServed"]

_HEADER_BYTES = 100  # of every SQLite file


class LastServed:
    """A copy of the champion's bundle under `CLV_HOME`, one for each registered model.

    Several workers may keep the same version at once, and one that was damaged or holds something
    else under the same number is replaced. What is read is checked by whoever loads it,
    as every bundle is.

    A registry in a SQLite file need not be asked which version is champion as long as nothing was
    written to that file since it was asked last: importing MLflow and asking takes a second.

    Parameters
    ----------
    settings : Settings
    """

    def __init__(self, settings: Settings) -> None:
        whose = f"{settings.registry_uri}\n{settings.model_name}".encode()
        name = hashlib.sha256(whose).hexdigest()[:16]
        self._folder = settings.root / "cache" / "last-served" / name
        self._pointer = self._folder / "version.json"
        self._registry_uri = settings.registry_uri

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
        pointer = self._read()
        number, name = pointer.get("version", ""), pointer.get("folder", "")
        kept = self._folder / name
        return (number, kept) if number and name == kept.name and kept.is_dir() else None

    def mark(self) -> str:
        """What changes with every write to the registry; empty where nothing is known to.

        To be taken before the registry is asked for what `confirm` then keeps.
        """
        if not self._registry_uri.startswith("sqlite:"):
            return ""
        name = database_url(self._registry_uri).database or ":memory:"
        try:
            if any(_holds_something(Path(f"{name}{log}")) for log in ("-wal", "-journal")):
                return ""  # the file alone does not tell
            with Path(name).open("rb") as file:
                # SQLite counts its transactions there.
                header, status = file.read(_HEADER_BYTES), os.fstat(file.fileno())
        except OSError:
            return ""
        return f"{status.st_ino} {status.st_size} {status.st_mtime_ns} {header.hex()}"

    def confirm(self, number: str, mark: str) -> None:
        """Note that the kept version was champion while the registry bore this mark."""
        pointer = self._read()
        if pointer.get("version") == number and pointer.get("registry", "") != mark:
            write_text(self._pointer, json.dumps({**pointer, "registry": mark}))

    def is_champion(self) -> bool:
        """Whether what was kept is champion for certain, although nobody asks the registry."""
        mark = self.mark()
        return mark != "" and self._read().get("registry") == mark

    def _read(self) -> dict[str, str]:
        try:
            pointer = dict(json.loads(self._pointer.read_text()))
        except (OSError, ValueError, TypeError):
            return {}
        return {str(name): str(value) for name, value in pointer.items()}


def _holds_something(file: Path) -> bool:
    return file.exists() and file.stat().st_size > 0


def _fingerprint(bundle: Path) -> str:
    """What a bundle holds, in 16 digits."""
    files = sorted(path for path in bundle.iterdir() if path.is_file())
    text = "\n".join(f"{sha256_of(path)} {path.name}" for path in files)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
