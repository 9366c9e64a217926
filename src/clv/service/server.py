"""Run the application under uvicorn: one process or several on one socket."""

import asyncio
import signal
import socket
import sys
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from clv.errors import ServeError
from clv.settings import Settings
from clv.tracking import open_request_log

__all__ = ["serve"]


def serve(settings: Settings, on_listening: Callable[[str], None]) -> None:
    """Serve until stopped; tells `on_listening` the address once nothing stands in the way.

    What can fail is tried before any worker starts, so that it ends in one clear line and not in a
    traceback a worker.

    Raises
    ------
    ServeError
        Where the address cannot be bound.
    StoreError
        Where the tracking database cannot be opened.
    """
    # uvicorn drains at SIGTERM and then raises it again: asked to end and ended is a success.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listening = _bind(settings.host, settings.port)
    try:
        _try_database(settings)
        config = uvicorn.Config(
            "clv.service.app:create_app",
            factory=True,
            workers=settings.workers,
            log_level=settings.log_level.lower(),
            log_config=_logging(settings.log_level),
            access_log=False,
            timeout_graceful_shutdown=20,
        )
        host, port = listening.getsockname()[:2]
        on_listening(f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}")
        server = uvicorn.Server(config)
        if settings.workers == 1:
            server.run(sockets=[listening])
        else:
            Multiprocess(config, sockets=[listening]).run()
    finally:
        listening.close()


def _try_database(settings: Settings) -> None:
    async def open_and_close() -> None:
        log = open_request_log(settings.tracking_url, settings.tracking_queue_rows)
        await log.close()

    asyncio.run(open_and_close())


def _logging(level: str) -> dict[str, Any]:
    """Configure uvicorn's logging with ours beside it."""
    ours = {"handlers": ["default"], "level": level, "propagate": False}
    loggers = {**uvicorn.config.LOGGING_CONFIG["loggers"], "clv": ours}
    return {**uvicorn.config.LOGGING_CONFIG, "loggers": loggers}


def _bind(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ServeError(
            f"Cannot listen on {host}:{port}: {reason}. "
            "Stop what is there, or choose another with --port or CLV_PORT."
        ) from error
    listening.set_inheritable(True)
    return listening
