"""The application: what it is made of, and what happens as a worker starts and stops."""

import asyncio
import contextlib
import gc
import logging
import multiprocessing
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from sqlalchemy import Engine

from clv.aside import Aside
from clv.errors import ClvError, StoreError
from clv.registry import LastServed, load_mlflow, open_registry
from clv.service.access import Keyring
from clv.service.anonymous import AnonymousAccess
from clv.service.connections import Connections
from clv.service.draining import draining
from clv.service.metrics import Metrics
from clv.service.middleware import Gate
from clv.service.models import Models
from clv.service.openapi import describe
from clv.service.pages import refused_page
from clv.service.pages import router as pages
from clv.service.problems import handle_errors
from clv.service.reality import Reality
from clv.service.receiving import Bodies
from clv.service.routes import DIRECT, ROUTERS
from clv.service.sessions import Sessions
from clv.service.uploads import Uploads
from clv.service.worker import Worker
from clv.settings import Settings, load_settings, metrics_folder
from clv.tracking import (
    DatabaseRequestLog,
    KeyStore,
    RequestQueries,
    SessionStore,
    open_database,
    require_in_place,
    upgrade,
)

__all__ = ["create_api", "create_app"]

_log = logging.getLogger(__name__)

_FIRST_LOOK_S = 5.0
_PULSE_S = 1.0


def create_app(settings: Settings | None = None) -> Gate:
    """Build the application; databases are opened when it starts, not here."""
    settings = settings or load_settings()
    anonymous = AnonymousAccess.of(settings)
    return Gate(create_api(settings), DIRECT, access_log=settings.access_log, anonymous=anonymous)


def create_api(settings: Settings) -> FastAPI:
    """Build what is behind the gate."""

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[Mapping[str, Any]]:
        async with _running(settings, metrics_folder()) as state:
            yield state

    api = FastAPI(
        title="clv",
        version=version("clv"),
        summary="What a customer will be worth, from what they did in their first days.",
        lifespan=lifespan,
        docs_url=None,  # those of FastAPI load their scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
    )
    handle_errors(api, refused_page)
    for router in (*ROUTERS, pages):
        api.include_router(router)
    describe(api)
    return api


@asynccontextmanager
async def _running(settings: Settings, folder: Path | None) -> AsyncIterator[Mapping[str, Any]]:
    """A worker from its start to its end; whatever was opened is closed in the reverse order."""
    async with AsyncExitStack() as closing:
        metrics = Metrics(folder)
        engine = open_database(settings.tracking_url)
        closing.callback(engine.dispose)
        upgrade(engine)
        watching = asyncio.create_task(_watch(engine))
        closing.push_async_callback(_end, watching)
        request_log = DatabaseRequestLog(
            engine, settings.tracking_queue_rows, observe=metrics.committed
        )
        closing.push_async_callback(request_log.close)
        queries = RequestQueries(engine)
        closing.callback(queries.close)
        lifetime = timedelta(hours=settings.session_hours)
        keyring = Keyring(
            KeyStore(engine),
            Sessions(SessionStore(engine), lifetime, settings.poll_interval_s),
            settings.requests_per_s,
            settings.poll_interval_s,
        )
        keyring.start()
        closing.callback(keyring.stop)
        registry = open_registry(settings)
        models = Models(registry, LastServed(settings), settings.poll_interval_s)
        reality = Reality(engine, models, registry, metrics.monitored)
        closing.callback(reality.close)
        uploads = Uploads(settings.max_uploads, settings.max_upload_bytes)
        closing.callback(uploads.close)
        connections = Connections(settings.max_connections, settings.read_timeout_s)
        worker = Worker(
            settings,
            registry,
            models,
            request_log,
            keyring,
            metrics,
            queries,
            reality,
            uploads,
            Bodies(settings.max_buffered_bytes),
            connections,
        )
        _keep_what_is_there()
        # At the end it must be looked at: what DuckDB has left by then it complains of.
        closing.callback(gc.unfreeze)
        models.start()
        closing.callback(models.stop)
        for task in (connections.watch(), _pulse(worker), _settle(worker)):
            closing.push_async_callback(_end, asyncio.create_task(task))
        with draining(worker, settings.drain_s):
            yield {"worker": worker, "connections": connections}


def _keep_what_is_there() -> None:
    """Spare the collector what was imported, and stays.

    It need not look at half a million objects again and again, which took a quarter of the time of
    a request.
    """
    gc.collect()
    gc.freeze()


async def _settle(worker: Worker) -> None:
    """Wait for MLflow to be imported and for the first look at the registry; say how it stands."""
    looker = Aside("first-look", 1)
    try:
        # The time limit is for a registry that hangs, and not for a machine that is busy.
        with contextlib.suppress(ImportError):  # whoever looks says so
            await looker.start(load_mlflow)
        await looker.start(worker.models.wait, _FIRST_LOOK_S)
    finally:
        worker.settled.set()
        looker.stop(wait_s=0)
    try:
        worker.models.current()
    except ClvError as error:
        _log.warning("Started without a model: %s", error)
    for warning in worker.warnings():
        _log.warning("%s", warning)
    worker.pulse()
    _keep_what_is_there()


async def _watch(engine: Engine) -> None:
    """Look after the file of the tracking database also while nobody uses it."""
    looker = Aside("tracking-file", 1)
    try:
        while True:
            with contextlib.suppress(StoreError):
                await looker.start(require_in_place, engine)
            await asyncio.sleep(_PULSE_S)
    finally:
        looker.stop(wait_s=_PULSE_S)


async def _pulse(worker: Worker) -> None:
    supervisor = multiprocessing.parent_process()
    while True:
        worker.pulse()
        if supervisor is not None and not supervisor.is_alive() and not worker.draining:
            _log.error("The process that started this worker is gone, so it stops")
            signal.raise_signal(signal.SIGTERM)
        await asyncio.sleep(_PULSE_S)


async def _end(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
