"""Run the application under uvicorn: one process or several on one socket."""

import contextlib
import logging.config
import os
import shutil
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from uvicorn.supervisors import Multiprocess, multiprocess

from clv.service.anonymous import AnonymousAccess
from clv.service.borrowed import check_borrowed
from clv.service.draining import ending_signals
from clv.service.logs import as_json, configuration
from clv.service.metrics_files import folder_for_metrics
from clv.service.uploads import THREADS
from clv.settings import Settings, tell_workers
from clv.tracking import KeyStore, open_database, upgrade

__all__ = ["serve"]

_log = logging.getLogger(__name__)
_OPEN_HERE = (
    "No API key exists: open to everyone on this machine, and to nobody else. "
    "To close it, create an API key: clv keys create NAME --scope admin"
)

# A worker that cannot start in place of another, as while the database is away, is tried again like
# one that died; uvicorn would end those that serve. It compares exit codes with this: 256 is none.
multiprocess.STARTUP_FAILURE = 256  # type: ignore[attr-defined]


def serve(settings: Settings, listening: socket.socket, say: Callable[[str], None]) -> None:
    """Serve until stopped; tells the address through `say` once nothing stands in the way.

    What can fail is tried before any worker starts, so that it ends in one clear line and not in a
    traceback a worker.

    Raises
    ------
    ServeError
        If there is no room for metrics.
    StoreError
        Where the tracking database cannot be opened.
    """
    # uvicorn drains at SIGTERM and then raises it again: asked to end and ended is a success.
    check_borrowed()
    ending = ending_signals()
    for number in ending:
        signal.signal(number, lambda *_: sys.exit(0))
    log_config = configuration(settings)
    if as_json(settings):
        logging.config.dictConfig(log_config)
        say = _log.info
    with listening, folder_for_metrics(settings.workers) as folder:
        host, port = listening.getsockname()[:2]
        tell_workers(metrics=str(folder), host=host)
        proxies = settings.trusted_proxies
        config = uvicorn.Config(
            "clv.service.app:create_app",
            factory=True,
            workers=settings.workers,
            http="clv.service.protocol:Protocol",
            ws="none",
            log_level=settings.log_level.lower(),
            log_config=log_config,
            access_log=False,
            server_header=False,
            forwarded_allow_ips="*" if "*" in proxies else list(proxies),
            timeout_graceful_shutdown=20,
        )
        closed = _has_keys(settings)
        address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        say(f"Serving on {address} (documentation: {address}/docs)")
        if not closed:
            say(AnonymousAccess.of(settings).warning or _OPEN_HERE)
        with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C after all is done: a success, too
            if settings.workers == 1:
                _run(uvicorn.Server(config), listening, folder)
            else:
                workers = _Workers(config, sockets=[listening])
                if signal.SIGHUP not in ending:
                    signal.signal(signal.SIGHUP, signal.SIG_IGN)
                workers.run()


class _Workers(Multiprocess):
    """Ends at SIGHUP as at SIGTERM; uvicorn would start each worker anew."""

    def handle_hup(self) -> None:
        """End."""
        self.handle_term()


def _run(server: uvicorn.Server, listening: socket.socket, folder: Path) -> None:
    """Serve in this process, and end it at once if a list is still being judged at the end.

    Whatever had to be closed is closed by then. The interpreter would wait for DuckDB, or crash it.
    """
    try:
        server.run(sockets=[listening])
    finally:
        if any(thread.name == THREADS for thread in threading.enumerate()):
            shutil.rmtree(folder, ignore_errors=True)
            logging.shutdown()
            os._exit(0 if server.started else 1)


def _has_keys(settings: Settings) -> bool:
    """Whether the service asks for keys; also tries the database."""
    engine = open_database(settings.tracking_url)
    try:
        upgrade(engine)
        return bool(KeyStore(engine).keys())
    finally:
        engine.dispose()
