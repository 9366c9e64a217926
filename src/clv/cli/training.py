"""`clv train`."""

from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from clv.cli.data import sample_activity
from clv.cli.environment import load_settings
from clv.cli.features import require_ibis
from clv.cli.options import (
    DecimalOption,
    HorizonDays,
    JobsOption,
    ObservationDays,
    SeedOption,
    ThousandsOption,
    number_format,
    window_of,
)
from clv.cli.rides import NO_RIDE_OPTIONS, RideOptions, instant, with_ride_options
from clv.cli.show import JsonOption, Stages, note, print_json, say, show_findings, shown, table
from clv.cli.user import user
from clv.clock import utc_now
from clv.errors import BundleError, UsageError
from clv.window import DEFAULT_RIDES, DEFAULT_TABLE, Window

if TYPE_CHECKING:
    from collections.abc import Mapping

    from clv.data.checks import History
    from clv.data.numbers import NumberFormat
    from clv.registry import Registry
    from clv.settings import Settings
    from clv.training import Release, TrainingResult

__all__ = ["require_training_libraries", "train"]

_TRAINING_LIBRARIES = ("sklearn", "lightgbm")


@with_ride_options
def train(
    data: Annotated[
        str | None,
        typer.Option(
            help="History to train on: a .csv, .parquet, .sqlite or .duckdb file, or a database "
            "URL. Default: generated passengers, to try things out."
        ),
    ] = None,
    kind: Annotated[
        Literal["activity", "rides"],
        typer.Option(help="What the history is: an activity table, or a ride log."),
    ] = "activity",
    table_name: Annotated[
        str | None,
        typer.Option(
            "--table",
            help="Table to read if the source holds several; schema.table works. Default: "
            f"{DEFAULT_TABLE}, or {DEFAULT_RIDES}.",
            show_default=False,
        ),
    ] = None,
    decimal: DecimalOption = None,
    thousands: ThousandsOption = None,
    log: RideOptions = NO_RIDE_OPTIONS,
    observation_days: ObservationDays = 7,
    horizon_days: HorizonDays = 30,
    seed: SeedOption = 42,
    test_share: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of customers held out for the test.")
    ] = 0.2,
    jobs: JobsOption = 2,
    search: Annotated[
        Literal["grid", "full", "optuna"],
        typer.Option(
            help="'grid' searches the grid of each candidate; 'full' also that of the published "
            "forest, which is only a baseline; 'optuna' also tries points outside the grids."
        ),
    ] = "grid",
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --search optuna: points to try for each candidate after its grid, 40 by "
            "default. A budget in minutes would make the result depend on the machine.",
            show_default=False,
        ),
    ] = None,
    promote: Annotated[
        bool,
        typer.Option(
            "--promote", help="Make the new model champion, whatever the comparison says."
        ),
    ] = False,
    if_missing: Annotated[
        bool,
        typer.Option("--if-missing", help="Do nothing if there is a champion that can serve."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Train on a history and register the best model.

    Reads and checks the data, searches every candidate by cross-validation, tests the chosen one
    once on held-out customers, and registers it. The first model becomes champion; a later one only
    if it is better on customers that neither has seen.

    With --kind rides, makes the activity table of a ride log first, as `clv features` does, and
    trains on the customers whose horizon has passed. Registration dates then allow a backtest on
    customers who registered later than those it was trained on.

    Example: `clv train --data passengers.sqlite`
    """
    require_training_libraries(*(["optuna"] if search == "optuna" else []))
    if trials is not None and search != "optuna":
        raise UsageError(
            f"--trials {trials} without --search optuna: a grid has a fixed number of points. "
            "Add --search optuna, or leave --trials out."
        )
    from clv.data.checks import read_history
    from clv.data.sources import listed, open_source
    from clv.models.candidates import candidates
    from clv.registry import open_registry
    from clv.training import release
    from clv.training import train as run_training
    from clv.training.search import SearchPlan

    window, numbers = window_of(observation_days, horizon_days), number_format(decimal, thousands)
    if kind == "rides":
        require_ibis()
    if data is None and window != Window():
        raise UsageError(
            f"Generated passengers are of {Window()}, not {window}. Give a table with --data."
        )
    settings = load_settings()
    registry = open_registry(settings, by=user())
    if if_missing and (champion := _usable_champion(registry)):
        if as_json:
            reason = "champion already; nothing was trained"
            print_json({"version": champion, "alias": "champion", "reason": reason})
        note(f"Version {champion} is champion already; nothing was trained.")
        return
    if kind == "rides":
        history = _history_of_rides(data, table_name, window, settings, log, numbers)
        generated = False
    else:
        _refuse_options_of_rides(log)
        location = data or sample_activity(settings)
        with open_source(location, table_name or DEFAULT_TABLE, numbers=numbers) as source:
            note(f"Reading {source.name}")
            history = read_history(source, window)
            generated = _is_sample(source.file, settings)
    note(f"{history.rows_read:,} rows read, {len(history):,} used")
    show_findings(history.findings)
    if history.unused:
        note(f"Not used: {listed(history.unused)}")
    registry.prepare()  # what cannot be written is said now, not after minutes of training
    with Stages() as stages:
        result = run_training(
            history,
            seed=seed,
            test_share=test_share,
            jobs=jobs,
            plan=SearchPlan(
                "optuna" if search == "optuna" else "grid", trials or SearchPlan().trials
            ),
            among=candidates(seed, full=search == "full"),
            progress=stages,
        )
        released = release(
            result,
            registry,
            settings.root,
            now=utc_now(),
            generated=generated,
            promote=promote,
            jobs=jobs,
            progress=stages,
        )
    if as_json:
        print_json(
            {
                "version": released.number,
                "alias": released.alias,
                "reason": released.reason,
                "champion": result.champion.model,
                "findings": history.findings,
                "leaderboard": result.leaderboard,
                "failed": result.failed,
                "checks": released.report.checks,
            }
        )
    else:
        _show(result, released)


def _history_of_rides(
    data: str | None,
    table_name: str | None,
    window: Window,
    settings: "Settings",
    log: RideOptions,
    numbers: "NumberFormat",
) -> "History":
    """The customers of a ride log whose outcome is known."""
    from clv.data.checks import read_history
    from clv.data.findings import Finding, by_severity
    from clv.data.sources import open_source
    from clv.features import build, duckdb_engine
    from clv.features.engine import with_progress

    if data is None:
        raise UsageError("--kind rides needs a ride log: give one with --data.")
    table_name = table_name or DEFAULT_RIDES
    reading, as_of = log.reading(table_name, numbers), instant("--as-of", log.as_of)
    settings.root.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=settings.root, prefix=".rides-") as folder:
        table = Path(folder) / "activity.parquet"
        with duckdb_engine(table, log.memory_limit) as engine:
            built = build(
                with_progress(engine, note),
                data,
                str(table),
                window=window,
                now=utc_now(),
                as_of=as_of,
                reading=reading,
                to_train=True,
            )
        note(f"{built.rides_used:,} rides of {built.customers:,} customers, as of {built.as_of}")
        with open_source(table) as source:
            history = read_history(source, window)
    findings = by_severity([*built.findings, *history.findings])
    if log.given():
        # Kept with the model, in its report: what it learned from depends on these.
        says, action = "options of the ride log", " ".join(log.given())
        options = Finding("kept", "options", built.source, built.rides_read, says, f"{action}.")
        findings = (*findings, options)
    return replace(history, source=built.source, findings=findings)


def _refuse_options_of_rides(log: RideOptions) -> None:
    if given := log.given():
        raise UsageError(
            f"{', '.join(given)}: options of a ride log. Add --kind rides, or leave them out."
        )


def _usable_champion(registry: "Registry") -> str | None:
    """The champion, where it can be loaded: one of another format serves nobody."""
    from clv.bundle import Predictor

    number = registry.number_of("champion")
    if number is None:
        return None
    try:
        Predictor.load(registry.bundle(number), version=number)
    except BundleError as error:
        note(f"Version {number} cannot be used ({str(error).rstrip('.')}): training again.")
        return None
    return number


def _is_sample(file: Path | None, settings: "Settings") -> bool:
    """Whether these are our generated passengers, also where --data names them."""
    samples = (settings.root / "sample").glob("activity.*")
    return file is not None and any(file.samefile(sample) for sample in samples)


def require_training_libraries(*others: str) -> None:
    """Refuse to begin where something is not installed.

    Raises
    ------
    UsageError
        Names it.
    """
    missing = [name for name in (*_TRAINING_LIBRARIES, *others) if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Training needs {', '.join(missing)}, not installed here: a server runs without them. "
            "Install clv[train]."
        )


def _show(result: "TrainingResult", released: "Release") -> None:
    from clv.training.report import COLUMNS

    names = [row.model for row in result.leaderboard]
    table(
        "Leaderboard (cv: 5-fold on the training rows; test: held out, looked at after the choice)",
        ("model", *(column.title for column in COLUMNS)),
        [(row.model, *(column.text(row) for column in COLUMNS)) for row in result.leaderboard],
        mark=names.index(result.champion.model),
    )
    for name, why in result.failed.items():
        say(f"Left out: {name} could not be fitted: {why}")
    say("")
    say(f"Chosen: {result.champion.model}{_in_words(result.champion.best_params)}")
    for check in released.report.issues:
        say(f"{check.code} {check.title}: {check.found} {check.advice}")
    say(f"Version {released.number} is {released.alias}: {released.reason}.")
    say(f"Written: {', '.join(shown(path) for path in released.files)}")
    if released.alias == "challenger":
        say(f"To promote it anyway: clv models promote {released.number}")


def _in_words(parameters: "Mapping[str, Any]") -> str:
    """Parameters as ' (classifier num_leaves 7, ...)': the end of each name, its value."""
    named = [f"{' '.join(name.split('__')[-2:])} {value}" for name, value in parameters.items()]
    return f" ({', '.join(named)})" if named else ""
