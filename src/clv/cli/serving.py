"""`clv serve`."""

from typing import Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.show import note
from clv.cli.signals import end_at_once

__all__ = ["serve"]


def serve(
    host: Annotated[str | None, typer.Option(help="Address. Default: CLV_HOST.")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Port. Default: CLV_PORT, 8080.")
    ] = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=64, help="Processes. Default: CLV_WORKERS, 1.")
    ] = None,
) -> None:
    """Serve the champion over HTTP; interactive documentation is at /docs.

    Picks up a new champion without a restart. Without a champion, predictions answer 503.

    Example: `clv serve --port 8080`
    """
    from clv.service.listening import bind

    end_at_once()  # the server listens to signals itself
    settings = load_settings()
    given = {"host": host, "port": port, "workers": workers}
    settings = settings.model_copy(update={k: v for k, v in given.items() if v is not None})
    listening = bind(settings.host, settings.port)
    # This takes its time to import.
    from clv.service.server import serve as run

    run(settings, listening, note)
