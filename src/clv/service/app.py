"""The application: what lives as long as the process, and what it is made of."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from clv.errors import ClvError
from clv.registry import open_registry
from clv.service.champion import Champion
from clv.service.problems import handle_errors
from clv.service.routes import router
from clv.settings import Settings, load_settings
from clv.tracking import open_request_log

__all__ = ["create_app"]

_log = logging.getLogger(__name__)


def create_app(settings: Settings | None = None) -> FastAPI:
    """Build the application; databases are opened when it starts, not here."""
    settings = settings or load_settings()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        champion = Champion(open_registry(settings), settings.poll_interval_s)
        app.state.champion = champion
        app.state.request_log = open_request_log(
            settings.tracking_url, settings.tracking_queue_rows
        )
        try:
            champion.refresh()
            champion.current()
        except ClvError as error:
            _log.warning("Started without a model: %s", error)
        follower = asyncio.create_task(champion.follow())
        try:
            yield
        finally:
            follower.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await follower
            await app.state.request_log.close()

    app = FastAPI(
        title="clv",
        version=version("clv"),
        summary="What a customer will be worth, from what they did in their first days.",
        lifespan=lifespan,
    )
    handle_errors(app)
    app.include_router(router)
    return app
