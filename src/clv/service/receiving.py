"""Bodies as they arrive, with a limit."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from clv.service.problems import RefusedError

__all__ = ["chunks", "stored"]


async def stored(request: Request, path: Path, most: int) -> None:
    """Write an upload of at most so many bytes to a new file as it arrives.

    Raises
    ------
    RefusedError
        As `chunks` does.
    """
    with path.open("xb") as file:
        async for chunk in chunks(request, most, "CLV_MAX_UPLOAD_BYTES"):
            file.write(chunk)


async def chunks(request: Request, most: int, setting: str) -> AsyncIterator[bytes]:
    """The body as it arrives; one whose declared length is too large is not begun.

    Raises
    ------
    RefusedError
        413 if it is larger than `most`, which `setting` sets; 408 if the client leaves before it
        is complete.
    """
    declared = request.headers.get("content-length")
    if declared is not None and int(declared) > most:
        raise _too_large(most, setting)
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > most:
                raise _too_large(most, setting)
            yield chunk
    except ClientDisconnect:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, "The client left before its request was whole."
        ) from None


def _too_large(most: int, setting: str) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {most:,} bytes ({setting}). Send fewer passengers at once; for "
        "very many there are `clv score` and `clv segment`.",
        # What is left of the body is not read.
        headers={"Connection": "close"},
    )
