"""`clv train`."""

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.data import sample_activity
from clv.cli.options import HorizonDays, ObservationDays, TableOption
from clv.cli.show import JsonOption, Stages, figure, note, print_json, say, shown, table
from clv.clock import utc_now
from clv.errors import UsageError
from clv.schema import DEFAULT_TABLE, Window
from clv.settings import load_settings

if TYPE_CHECKING:
    from clv.data.checks import Finding
    from clv.training import Release, TrainingResult

__all__ = ["train"]

_TRAINING_LIBRARIES = ("sklearn", "lightgbm", "onnx", "onnxmltools", "skl2onnx")


def train(
    data: Annotated[
        str | None,
        typer.Option(
            help="History to learn from: a .csv, .parquet, .sqlite or .duckdb file, or a database "
            "URL. Without it: generated passengers, to try things out."
        ),
    ] = None,
    table_name: TableOption = DEFAULT_TABLE,
    observation_days: ObservationDays = 7,
    horizon_days: HorizonDays = 30,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Same seed, same result.")] = 42,
    test_share: Annotated[
        float, typer.Option(min=0.05, max=0.5, help="Share of customers held out for the test.")
    ] = 0.2,
    jobs: Annotated[int, typer.Option(min=1, help="Fits at a time.")] = 2,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it champion whatever the comparison says.")
    ] = False,
    if_missing: Annotated[
        bool, typer.Option("--if-missing", help="Do nothing where there is a champion already.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Learn from a history and register the best model.

    Reads and checks the data, searches every candidate by cross-validation, tests the chosen one
    once on customers held out before, and registers it. The first model becomes champion; a later
    one only where it is better on customers that neither has seen.

    Example: `clv train --data passengers.sqlite`
    """
    _require_training_libraries()
    from clv.data.checks import read_history
    from clv.data.sources import open_source
    from clv.registry import open_registry
    from clv.training import release
    from clv.training import train as run_training

    window = _window(observation_days, horizon_days)
    if data is None and window != Window():
        raise UsageError(
            f"Generated passengers are of {Window()}, not {window}. Give a table with --data."
        )
    settings = load_settings()
    registry = open_registry(settings)
    champion = registry.number_of("champion")
    if if_missing and champion:
        note(f"Version {champion} is champion already; nothing was trained.")
        return
    with open_source(data or sample_activity(settings), table_name) as source:
        note(f"Reading {source.name}")
        history = read_history(source, window)
    note(f"{history.rows_read:,} rows read, {len(history):,} used")
    _show_findings(history.findings)
    registry.prepare()  # what cannot be written is said now, not after minutes of training
    with Stages() as stages:
        result = run_training(history, seed=seed, test_share=test_share, jobs=jobs, progress=stages)
    released = release(
        result,
        registry,
        settings.root,
        now=utc_now(),
        generated=data is None,
        promote=promote,
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
            }
        )
    else:
        _show(result, released)


def _window(observation_days: int, horizon_days: int) -> Window:
    try:
        return Window(observation_days, horizon_days)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _require_training_libraries() -> None:
    missing = [name for name in _TRAINING_LIBRARIES if find_spec(name) is None]
    if missing:
        raise UsageError(
            f"Training needs {', '.join(missing)}, not installed here: a server runs without them. "
            "Install clv[train]."
        )


def _show_findings(findings: "tuple[Finding, ...]") -> None:
    for finding in findings:
        note(f"  {finding.severity}: {finding}")


def _show(result: "TrainingResult", released: "Release") -> None:
    names = [row.model for row in result.leaderboard]
    table(
        "Leaderboard (cv: 5-fold on the training rows; test: held out, looked at after the choice)",
        (
            "model", "cv MSE", "±", "to champion", "±", "test MSE", "MAE", "bias", "Gini total",
            "Gini increment", "decile MAPE", "fit s",
        ),
        [
            (
                row.model,
                f"{row.cv_mse:.1f}",
                f"{row.cv_mse_se:.1f}",
                f"{row.to_champion.mean:+.1f}",
                f"{row.to_champion.standard_error:.1f}",
                f"{row.test_mse:.1f}",
                f"{row.test_mae:.2f}",
                figure(row.test_bias, "+z.1%"),
                figure(row.test_gini_total, "z.3f"),
                figure(row.test_gini_increment, "z.3f"),
                figure(row.test_decile_mape, ".1%"),
                f"{row.fit_seconds:.2f}",
            )
            for row in result.leaderboard
        ],
        mark=names.index(result.champion.model),
    )  # fmt: skip
    for name, why in result.failed.items():
        say(f"Left out: {name} could not be fitted: {why}")
    say("")
    say(f"Chosen: {result.champion.model} {result.champion.best_params or ''}".rstrip())
    say(f"Version {released.number} is {released.alias}: {released.reason}.")
    say(f"Written: {', '.join(shown(path) for path in released.files)}")
    if released.alias == "challenger":
        say(f"Make it champion all the same: clv models promote {released.number}")
