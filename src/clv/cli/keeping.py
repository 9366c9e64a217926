"""`clv prune` and `clv passenger`: what is kept of whom, and what no longer."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.outcomes import tracking
from clv.cli.show import JsonOption, ask, audited, print_json, rows_done, say
from clv.clock import utc_now
from clv.errors import UsageError

__all__ = ["app", "prune"]

app = typer.Typer(help="Export or erase the stored data of one passenger.", no_args_is_help=True)

_INT64 = 2**63
PassengerId = Annotated[int, typer.Argument(metavar="ID", min=-_INT64, max=_INT64 - 1)]
_LEAST_DAYS = 30


def prune(
    days: Annotated[
        int | None,
        typer.Option(min=_LEAST_DAYS, help="Days to keep. Default: CLV_KEEP_DAYS."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Delete tracked requests and outcomes older than a number of days.

    They are added up first, so that `clv monitor` shows the same figures afterwards. A later
    outcome no longer finds its prediction, and `clv retrain` cannot use what was deleted. The
    service may run; an interrupted run is continued by the next one. For cron.

    Example: `clv prune --days 400`
    """
    from clv.tracking import prune as let_go

    settings = load_settings()
    days = days or settings.keep_days
    if days is None:
        raise UsageError(
            "The number of days to keep is missing. Give --days 400, or set CLV_KEEP_DAYS."
        )
    before = utc_now() - timedelta(days=days)
    with tracking(settings) as engine, rows_done("requests", None) as done:
        gone = let_go(engine, before, done)
    audited("prune", f"{gone.requests} requests before {before:%Y-%m-%dT%H:%M:%SZ}")
    if as_json:
        print_json({"before": before, **asdict(gone)})
        return
    say(
        f"Deleted everything before {before:%Y-%m-%d %H:%M} UTC: {gone.requests:,} requests, "
        f"{gone.outcomes:,} outcomes, {gone.corrections:,} amounts that had been corrected."
    )


@app.command()
def export(passenger_id: PassengerId) -> None:
    """Print everything stored about a passenger, as JSON: requests, outcome, corrections.

    Example: `clv passenger export 1234`
    """
    from clv.tracking import export as everything_of

    with tracking(load_settings()) as engine:
        print_json({"id": passenger_id, **everything_of(engine, passenger_id)})


@app.command()
def erase(
    passenger_id: PassengerId,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Delete everything stored about a passenger.

    Sums of pruned rows name no passenger, and stay. Backups, the table that a model was
    trained on and the models themselves are not touched.

    Example: `clv passenger erase 1234 --yes`
    """
    from clv.tracking import erase as forget

    settings = load_settings()
    if not yes:
        ask(f"Delete everything stored about passenger {passenger_id}?")
    with tracking(settings) as engine:
        gone = forget(engine, passenger_id)
    # Without the id: it was erased.
    audited("erase", f"a passenger, {gone.requests} requests and {gone.outcomes} outcomes")
    if as_json:
        print_json({"id": passenger_id, **asdict(gone)})
        return
    say(
        f"Deleted of passenger {passenger_id}: {gone.requests:,} requests, {gone.outcomes:,} "
        f"outcomes, {gone.corrections:,} amounts that had been corrected."
    )
