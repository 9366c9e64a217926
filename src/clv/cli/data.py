"""`clv sample-data`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from clv.cli.environment import load_settings
from clv.cli.show import JsonOption, note, print_json, rows_done, say, shown

if TYPE_CHECKING:
    from clv.settings import Settings

__all__ = ["sample_activity", "sample_data"]

_PASSENGERS = 20_000
_SEED = 7


def sample_data(
    output: Annotated[
        Path | None, typer.Option(help="Folder to write into. Default: `sample` in CLV_HOME.")
    ] = None,
    passengers: Annotated[int, typer.Option(min=1, help="How many.")] = _PASSENGERS,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same passengers.")] = _SEED,
    file_format: Annotated[
        Literal["parquet", "csv"], typer.Option("--format", help="Kind of files.")
    ] = "parquet",
    as_json: JsonOption = False,
) -> None:
    """Generate passengers and their rides, to try everything without data of your own.

    Writes the ride log (rides) and the activity table made of it (activity). The figures resemble
    those of a real ride-hailing company: most passengers never ride again, and a few spend most of
    the money.

    Example: `clv sample-data --passengers 100000 --output data`
    """
    from clv.data.sample import write_sample

    folder = output or load_settings().root / "sample"
    with rows_done("passengers", passengers) as done:
        files = write_sample(
            folder, passengers=passengers, seed=seed, file_format=file_format, on_chunk=done
        )
    if as_json:
        print_json(files)
        return
    say(f"{files.activity_rows:,} passengers: {shown(files.activity)}")
    say(f"{files.ride_rows:,} rides: {shown(files.rides)}")


def sample_activity(settings: "Settings") -> Path:
    """The activity table of the sample data, generated where it is missing."""
    from clv.data.sample import write_sample

    path = settings.root / "sample" / "activity.parquet"
    if not path.exists():
        note(f"No --data given: generating {_PASSENGERS:,} passengers in {shown(path.parent)}")
        write_sample(path.parent, passengers=_PASSENGERS, seed=_SEED)
    return path
