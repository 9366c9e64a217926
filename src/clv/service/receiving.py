"""Bodies as they arrive, with a limit."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from clv.service.problems import RefusedError

__all__ = ["Bodies", "chunks", "stored"]

# Of each body; more than enough for one passenger, so that large bodies never keep those out.
_FREE_BYTES = 64 * 1024


class Bodies:
    """Memory for the bodies that a worker is receiving.

    Nobody waits for room, so no two requests can wait for each other; a body that is the only one
    always finds it.

    Parameters
    ----------
    most : int
        Bytes of all bodies together, not counting the first 64 KiB of each.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._held = 0

    async def read(self, request: Request, most: int) -> bytes:
        """A whole body of at most so many bytes.

        Raises
        ------
        RefusedError
            As `chunks` does; also 503 if there is no room for it now.
        """
        parts, size, held = [], 0, 0
        try:
            async for chunk in chunks(request, most, "CLV_MAX_BODY_BYTES"):
                parts.append(chunk)
                size += len(chunk)
                more = size - _FREE_BYTES - held
                if more > 0:
                    if self._held > held and self._held + more > self._most:
                        raise RefusedError(
                            HTTPStatus.SERVICE_UNAVAILABLE,
                            "Too many large requests are being received. Try again in a moment.",
                            headers={"Retry-After": "5"},
                        )
                    held += more
                    self._held += more
            return parts[0] if len(parts) == 1 else b"".join(parts)
        finally:
            self._held -= held


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
            HTTPStatus.REQUEST_TIMEOUT, "The client disconnected before its request was complete."
        ) from None


def _too_large(most: int, setting: str) -> RefusedError:
    return RefusedError(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        f"The body is larger than {most:,} bytes ({setting}). Send fewer passengers at once; for "
        "very many there are `clv score` and `clv segment`.",
        # What is left of the body is not read.
        headers={"Connection": "close"},
    )
