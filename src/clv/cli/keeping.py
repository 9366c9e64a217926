"""`clv prune` and `clv passenger`: what is kept of whom, and what no longer."""

from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer

from clv.cli.outcomes import tracking
from clv.cli.show import JsonOption, ask, audited, print_json, rows_done, say
from clv.clock import utc_now
from clv.errors import UsageError
from clv.settings import load_settings

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
    """Delete tracked requests and outcomes that are older than some days.

    They are added up first, so that `clv monitor` says afterwards what it said before. An outcome
    that comes later finds no prediction any more, and `clv retrain` cannot learn from what is gone.
    The service may run; whoever is interrupted goes on with the next run. For cron.

    Example: `clv prune --days 400`
    """
    from clv.tracking import prune as let_go

    settings = load_settings()
    days = days or settings.keep_days
    if days is None:
        raise UsageError("How long are requests to be kept? Say it: --days 400, or CLV_KEEP_DAYS.")
    before = utc_now() - timedelta(days=days)
    with tracking(settings) as engine, rows_done("requests", None) as done:
        gone = let_go(engine, before, done)
    audited("prune", f"{gone.requests} requests before {before:%Y-%m-%dT%H:%M:%SZ}")
    if as_json:
        print_json({"before": before, **asdict(gone)})
        return
    say(
        f"Deleted what was asked before {before:%Y-%m-%d %H:%M} UTC: {gone.requests:,} requests, "
        f"{gone.outcomes:,} outcomes, {gone.corrections:,} amounts that had been corrected."
    )


@app.command()
def export(passenger_id: PassengerId) -> None:
    """Print all that is kept of a passenger, as JSON: requests, outcome, and what was corrected.

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
    """Delete all that is kept of a passenger, and count them no longer.

    Sums of what was pruned before are nobody's, and stay. Backups, the table that a model was
    trained on and the models themselves are not touched.

    Example: `clv passenger erase 1234 --yes`
    """
    from clv.tracking import erase as forget

    settings = load_settings()
    if not yes:
        ask(f"Delete all that is kept of passenger {passenger_id}?")
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
