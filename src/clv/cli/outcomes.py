"""`clv outcomes`: what passengers spent in the end."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clv.cli.environment import load_settings
from clv.cli.options import DecimalOption, TableOption, ThousandsOption, number_format
from clv.cli.show import JsonOption, note, print_json, rows_done, say, show_findings
from clv.clock import utc_now
from clv.errors import DataError
from clv.window import DEFAULT_TABLE, Window

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from clv.data.outcomes import OutcomeBatch
    from clv.settings import Settings
    from clv.tracking import Outcome

__all__ = ["app", "tracking"]

app = typer.Typer(help="Import outcomes: the actual spend of passengers.", no_args_is_help=True)


@contextmanager
def tracking(settings: "Settings") -> Iterator["Engine"]:
    """The tracking database, its tables brought up to date."""
    from clv.tracking import open_database, upgrade

    engine = open_database(settings.tracking_url)
    try:
        upgrade(engine)
        yield engine
    finally:
        engine.dispose()


@app.command("import")
def import_outcomes(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            help="Outcomes: a .csv, .parquet, .sqlite or .duckdb file, or a database URL.",
        ),
    ],
    table_name: TableOption = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Import what passengers spent by day 30, to compare it with the predictions.

    Columns: id and monetary_value_30 (or monetary_30), as an activity table has them once the
    horizon has passed. Optional are frequency_30 (rides by then), registered_at, and as_of (when
    the amount was drawn up; otherwise now). With registered_at the horizon is known exactly;
    otherwise it is assumed to be 23 days after the prediction. An amount drawn up before the
    horizon is stored but does not count; send it again later.

    It is safe to run again, also after an interruption: the same outcome changes nothing, and a
    different one corrects the earlier one, which stays in the history. Different outcomes of one
    passenger in the same file, drawn up at the same time, are refused, and nothing is stored.

    Example: `clv outcomes import last_month.csv`
    """
    from clv.data.findings import Tally, by_severity
    from clv.data.outcomes import read_outcomes, require_one_each
    from clv.data.sources import open_source
    from clv.tracking import OutcomeStore, Recorded

    settings, now, tally = load_settings(), utc_now(), Tally()
    recorded, rows = Recorded(), 0
    numbers = number_format(decimal, thousands)
    with (
        open_source(source, table_name, numbers=numbers) as opened,
        tracking(settings) as engine,
    ):
        store = OutcomeStore(engine)
        batches = list(read_outcomes(opened, Window(), now, tally))
        require_one_each(opened.name, batches, now)
        with rows_done("outcomes", sum(batch.rows_read for batch in batches)) as done:
            for batch in batches:
                rows += batch.rows_read
                recorded += store.record(list(_outcomes(batch)), now)
                done(batch.rows_read)
        name = opened.name
    findings = by_severity(tally.findings())
    taken = recorded.accepted + recorded.corrected + recorded.unchanged + recorded.outdated
    if taken == 0:
        causes = " ".join(map(str, findings)) or "It has no rows."
        raise DataError(f"'{name}' has no usable outcome. {causes}")
    if as_json:
        print_json({"rows": rows, **asdict(recorded), "findings": findings})
        return
    show_findings(findings)
    say(
        f"{rows:,} rows of {name}: {recorded.accepted:,} accepted, {recorded.corrected:,} "
        f"corrected, {recorded.unchanged:,} unchanged, {recorded.outdated:,} outdated."
    )
    if recorded.unmatched:
        note(f"Without a prediction that counts: {recorded.unmatched:,}; stored.")
    if recorded.early:
        note(
            f"Measured before the horizon: {recorded.early:,}; stored, but not counted. Send them "
            "again later; if predictions are requested late, give registered_at."
        )
    say("Compare them with the predictions: clv monitor")


def _outcomes(batch: "OutcomeBatch") -> Iterator["Outcome"]:
    from clv.tracking import Outcome

    def moments(values: Any) -> list[datetime | None]:
        return [one and one.replace(tzinfo=UTC) for one in values.tolist()]

    for passenger, monetary, rides, registered_at, as_of in zip(
        batch.ids.tolist(),
        batch.monetary.tolist(),
        batch.rides.tolist(),
        moments(batch.registered_at),
        moments(batch.as_of),
        strict=True,
    ):
        # NaN is unlike itself: how many rides there were is not known.
        known = int(rides) if rides == rides else None  # noqa: PLR0124
        yield Outcome(passenger, monetary, known, registered_at, as_of)
