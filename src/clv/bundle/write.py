"""Write a bundle: whole or not at all."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from clv.bundle.cells import Cells
from clv.bundle.manifest import MANIFEST, TABLES, Manifest, Role, sha256_of

__all__ = ["write_bundle"]


def write_bundle(folder: Path, manifest: Manifest, tables: Mapping[Role, Cells]) -> Manifest:
    """Write tables and manifest into `folder`, which must not exist yet.

    Everything is written beside it first and renamed, so that a reader never meets a half bundle.

    Returns
    -------
    Manifest
        As written, with the checksums of the tables.
    """
    draft = folder.with_name(f".{folder.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    for role, cells in tables.items():
        (draft / TABLES[role]).write_bytes(cells.to_bytes())
    files = {name: sha256_of(draft / name) for name in sorted(TABLES.values())}
    written = manifest.model_copy(update={"files": files})
    (draft / MANIFEST).write_text(written.model_dump_json(indent=2) + "\n", encoding="utf-8")
    draft.rename(folder)
    return written
