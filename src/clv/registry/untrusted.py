"""What a registry says, before it becomes a path, a label or a version that is answered with.

Whoever can write to the registry, or poses as it, says what it wants: a run id of `../../etc`, a
version of `<script>`, a bundle of terabytes.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

from clv.bundle.manifest import MANIFEST, MOST_BYTES, MOST_MANIFEST_BYTES, TABLES
from clv.errors import RegistryError

__all__ = ["named", "run_of", "version_number", "version_numbers", "wanted_files"]

_RUN = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,99}")
_SHOWN = 60


def run_of(said: Any) -> str:
    """The id of a run.

    Raises
    ------
    RegistryError
        If it is none; so do the others here.
    """
    if not _RUN.fullmatch(str(said)):
        raise _odd("run id", said, "32 hexadecimal digits")
    return str(said)


def version_number(said: Any) -> str:
    """The number of a version."""
    if not _NUMBER.fullmatch(str(said)):
        raise _odd("version", said, "a whole number from 1")
    return str(said)


def version_numbers(said: str) -> list[str]:
    """The numbers in a JSON list."""
    try:
        found = json.loads(said)
    except ValueError:
        found = None
    if not isinstance(found, list):
        raise _odd("list of former champions", said, "a JSON list of versions")
    return [version_number(one) for one in found]


def named(aliases: dict[str, Any]) -> dict[str, str]:
    """The version that each alias names; what is no alias is left out."""
    return {
        alias: version_number(number)
        for alias, number in aliases.items()
        if _ALIAS.fullmatch(str(alias))
    }


def wanted_files(folder: str, listed: Iterable[Any]) -> list[str]:
    """Paths of a bundle's files, once the listing of its folder names exactly these."""
    expected = {f"{folder}/{name}" for name in (MANIFEST, *TABLES.values())}
    found = {str(one.path): one for one in listed}
    if set(found) != expected or any(one.is_dir for one in found.values()):
        raise _odd("bundle", ", ".join(sorted(found)), f"the files {', '.join(sorted(expected))}")
    for path, one in found.items():
        most = MOST_MANIFEST_BYTES if path == f"{folder}/{MANIFEST}" else MOST_BYTES
        if (one.file_size or 0) > most:
            raise _odd("bundle", f"{path} of {one.file_size:,} bytes", f"at most {most:,}")
    return sorted(expected)


def _odd(what: str, said: Any, expected: str) -> RegistryError:
    shown = repr(str(said)[:_SHOWN])
    return RegistryError(
        f"The model registry names a {what} {shown}; expected {expected}. "
        "Check MLFLOW_TRACKING_URI: is this the registry that clv writes to?"
    )
