"""What pages load: our scripts and styles, the plotting library and Swagger UI."""

import asyncio
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from http import HTTPStatus
from importlib.metadata import distribution
from importlib.resources import files
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from clv.service.access import STATIC
from clv.service.problems import RefusedError

__all__ = ["address", "answer_static"]

_PLOTLY = "plotly.min.js"
#: Swagger UI, as this package bundles it.
_SWAGGER = "fastapi-offline"
_SWAGGER_FILES = ("swagger-ui-bundle.js", "swagger-ui.css")
_KINDS = {
    ".css": "text/css; charset=utf-8",
    ".csv": "text/csv; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# The version is part of the address, so what stands there never changes.
_FOR_EVER = "public, max-age=31536000, immutable"
_SMALL = 1_000  # bytes; to compress less brings nothing


@dataclass(frozen=True, slots=True)
class _File:
    kind: str
    version: str
    content: bytes


def address(name: str) -> str:
    """Where a page finds a file: another address for another content."""
    return f"{STATIC}{name}?v={_versions()[name]}"


async def answer_static(name: str, request: Request) -> Response:
    """A file, compressed for those who take it so.

    Raises
    ------
    RefusedError
        404 where there is none of this name.
    """
    if name not in _versions():
        raise RefusedError(HTTPStatus.NOT_FOUND, "Not Found")
    file = await asyncio.to_thread(_read, name)
    headers = {"vary": "accept-encoding", "cache-control": "no-cache"}
    if request.query_params.get("v") == file.version:
        headers["cache-control"] = _FOR_EVER
    content = file.content
    if len(content) > _SMALL and "gzip" in request.headers.get("accept-encoding", ""):
        content = await asyncio.to_thread(_compressed, name)
        headers["content-encoding"] = "gzip"
    return Response(content, media_type=None, headers={**headers, "content-type": file.kind})


@cache
def _files() -> dict[str, Path]:
    """Each file that there is: nothing else is ever read, whatever the path says."""
    ours = Path(str(files("clv.service.pages") / "static"))
    # By their paths: to import what draws takes as long as to start the service.
    swagger = Path(str(distribution(_SWAGGER).locate_file("fastapi_offline/static")))
    return {
        **{file.name: file for file in ours.iterdir()},
        **{name: swagger / name for name in _SWAGGER_FILES},
        _PLOTLY: Path(str(distribution("plotly").locate_file(f"plotly/package_data/{_PLOTLY}"))),
    }


@cache
def _versions() -> dict[str, str]:
    return {
        name: hashlib.sha256(file.read_bytes()).hexdigest()[:12] for name, file in _files().items()
    }


@cache
def _read(name: str) -> _File:
    return _File(_KINDS[Path(name).suffix], _versions()[name], _files()[name].read_bytes())


@cache
def _compressed(name: str) -> bytes:
    return gzip.compress(_read(name).content, 6, mtime=0)
