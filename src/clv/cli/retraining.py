"""`clv retrain`."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.options import (
    DecimalOption,
    JobsOption,
    SeedOption,
    ThousandsOption,
    number_format,
)
from clv.cli.outcomes import tracking
from clv.cli.show import JsonOption, Stages, note, print_json, say
from clv.cli.training import require_training_libraries
from clv.cli.user import user
from clv.clock import utc_now
from clv.errors import BundleError, DataError
from clv.window import DEFAULT_TABLE, Window

if TYPE_CHECKING:
    from clv.data.checks import History
    from clv.data.numbers import NumberFormat
    from clv.registry import Registry

__all__ = ["retrain"]


def retrain(
    data: Annotated[
        str | None,
        typer.Option(
            help="Further history to train on. Default: the data of the champion, if it is a "
            "file that still exists.",
            show_default=False,
        ),
    ] = None,
    table_name: Annotated[
        str, typer.Option("--table", help="Table to read, if that history holds several.")
    ] = DEFAULT_TABLE,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    only_tracked: Annotated[
        bool, typer.Option("--only-tracked", help="Train on tracked requests only.")
    ] = False,
    if_alarm: Annotated[
        bool,
        typer.Option("--if-alarm", help="Do nothing unless bias or coverage raises an alarm."),
    ] = False,
    seed: SeedOption = 42,
    jobs: JobsOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Retrain on tracked requests and their outcomes, and promote the model if it is better.

    The newest passengers whose horizon has passed are kept out; on them the new model is compared
    with the champion. It is promoted if its error is lower by a paired test and no check of its
    report found an issue; otherwise it predicts in shadow. If an alarm says that behaviour changed
    in some week, only outcomes since then are used. The registry keeps each decision with its
    reason: `clv models history`.

    Run it from cron as often as outcomes come in: without new outcomes it does nothing, and an
    interrupted run is continued by the next one.

    Example: `clv retrain --if-alarm`
    """
    require_training_libraries()
    from clv.registry import open_registry
    from clv.training import train
    from clv.training.retrain import retrain as learn_again

    settings, numbers = load_settings(), number_format(decimal, thousands)
    registry = open_registry(settings, by=user())
    source = None if only_tracked else _source(data, table_name, registry, numbers)
    with tracking(settings) as engine, Stages() as stages:
        done = learn_again(
            engine,
            registry,
            settings.root,
            now=utc_now(),
            source=source,
            only_if_alarmed=if_alarm,
            learn=partial(train, seed=seed, jobs=jobs, progress=stages),
            told=note,
        )
    if as_json:
        print_json(done)
        return
    what = f"Version {done.version}: " if done.version else ""
    say(f"{what}{done.decision}. {done.reason[0].upper()}{done.reason[1:]}.")
    if done.decision == "in shadow":
        say(f"To promote it anyway: clv models promote {done.version}")


def _source(
    data: str | None, table_name: str, registry: "Registry", numbers: "NumberFormat"
) -> "History | None":
    """Further history: the one given, or that of the champion if it can be read again."""
    from clv.bundle import Manifest
    from clv.data.checks import read_history
    from clv.data.sources import open_source

    location = data
    if location is None:
        try:
            known = Manifest.read(registry.bundle(registry.champion())).data
        except BundleError:
            return None
        # Generated passengers are no history of anybody.
        if known.generated or not Path(known.source).is_file():
            return None
        location = known.source
    note(f"Reading {location}")
    try:
        with open_source(location, table_name, numbers=numbers) as source:
            return read_history(source, Window())
    except DataError as error:
        if data is not None:
            raise
        # The champion was trained on it another way, as on a ride log.
        note(f"Training on tracked requests only. {error}")
        note("If it is a ride log, make its table with `clv features` and give that with --data.")
        return None
