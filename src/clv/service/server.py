"""Run the application under uvicorn: one process or several on one socket."""

import contextlib
import resource
import signal
import socket
import sys
from collections.abc import Callable

import uvicorn
from uvicorn.supervisors import Multiprocess, multiprocess

from clv.errors import ServeError
from clv.service.anonymous import AnonymousAccess
from clv.service.logs import configuration
from clv.service.metrics_files import folder_for_metrics
from clv.settings import Settings, tell_workers
from clv.tracking import KeyStore, open_database, upgrade

__all__ = ["serve"]

_OPEN_HERE = (
    "No API key exists: open to everyone on this machine, and to nobody else. "
    "To close it, create an API key: clv keys create NAME --scope admin"
)

# A worker that cannot start in place of another, as while the database is away, is tried again like
# one that died; uvicorn would end those that serve. It compares exit codes with this: 256 is none.
multiprocess.STARTUP_FAILURE = 256  # type: ignore[attr-defined]


def serve(settings: Settings, say: Callable[[str], None]) -> None:
    """Serve until stopped; tells the address through `say` once nothing stands in the way.

    What can fail is tried before any worker starts, so that it ends in one clear line and not in a
    traceback a worker.

    Raises
    ------
    ServeError
        Where the address cannot be bound.
        Also where there is no room for metrics.
    StoreError
        Where the tracking database cannot be opened.
    """
    # uvicorn drains at SIGTERM and then raises it again: asked to end and ended is a success.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    listening = _bind(settings.host, settings.port)
    with listening, folder_for_metrics(settings.workers) as folder:
        host, port = listening.getsockname()[:2]
        tell_workers(metrics=str(folder), host=host)
        _allow_connections(settings.max_connections)
        proxies = settings.trusted_proxies
        config = uvicorn.Config(
            "clv.service.app:create_app",
            factory=True,
            workers=settings.workers,
            http="clv.service.connections:Protocol",
            log_level=settings.log_level.lower(),
            log_config=configuration(settings),
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
                uvicorn.Server(config).run(sockets=[listening])
            else:
                Multiprocess(config, sockets=[listening]).run()


def _has_keys(settings: Settings) -> bool:
    """Whether the service asks for keys; also tries the database."""
    engine = open_database(settings.tracking_url)
    try:
        upgrade(engine)
        return bool(KeyStore(engine).keys())
    finally:
        engine.dispose()


def _allow_connections(connections: int) -> None:
    """Each connection is an open file, and what a shell allows by default is few."""
    wanted = connections + 512
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY not in (soft, hard) and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(wanted, hard), hard))


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
