"""The command line: parse, call, print.

Exit 0 done, 1 failed for a stated reason, 2 wrong usage; `clv monitor` exits with 3 for an alarm.
"""

import sys
from typing import Annotated

import typer

from clv.cli import (
    data,
    database,
    export,
    features,
    keeping,
    keys,
    models,
    monitoring,
    outcomes,
    report,
    retraining,
    scoring,
    segment,
    serving,
    training,
    validation,
)
from clv.cli.environment import unknown_variables
from clv.cli.show import complain, note, say
from clv.cli.signals import ending_tidily
from clv.errors import ClvError, UsageError

__all__ = ["app", "main"]

app = typer.Typer(
    name="clv",
    help="Predict what a new customer will spend in their first month from their first week.",
    epilog="Settings are environment variables (CLV_HOME, CLV_PORT, ...): docs/reference.md.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _show_version(wanted: bool) -> None:
    if wanted:
        from clv import __version__

        say(f"clv {__version__}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Predict what a new customer will spend in their first month from their first week."""
    for warning in unknown_variables():
        note(warning)


app.command("train")(training.train)
app.command("serve")(serving.serve)
app.command("features")(features.features)
app.command("score")(scoring.score)
app.command("segment")(segment.segment)
app.command("lift")(segment.lift)
app.command("validate")(validation.validate)
app.command("report")(report.report)
app.command("retrain")(retraining.retrain)
app.command("monitor")(monitoring.monitor)
app.command("prune")(keeping.prune)
app.command("sample-data")(data.sample_data)
app.command("backup")(database.backup)
app.command("restore")(database.restore)
app.add_typer(export.app, name="export")
app.add_typer(models.app, name="models")
app.add_typer(outcomes.app, name="outcomes")
app.add_typer(keeping.app, name="passenger")
app.add_typer(keys.app, name="keys")
app.add_typer(database.app, name="db")


def main() -> None:
    """Run the command line; an expected error is one line, not a traceback."""
    try:
        with ending_tidily():
            app(prog_name="clv")
    except ClvError as error:
        complain(str(error))
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except OSError as error:
        where = f"'{error.filename}': " if error.filename else ""
        complain(f"{where}{error.strerror or error}. Check the disk and its permissions.")
        sys.exit(1)
