"""`clv backup`, `clv restore` and `clv db`: the tracking database."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.show import JsonOption, ask, audited, note, print_json, say, shown
from clv.clock import utc_now
from clv.errors import OutputError, StoreError

__all__ = ["app", "backup", "restore"]

app = typer.Typer(help="The tables of the tracking database.", no_args_is_help=True)


def backup(
    output: Annotated[Path, typer.Argument(help="File to write.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Copy the tracking database (SQLite) into one file, while the service runs.

    The copy holds what was committed at one moment: tracked requests, keys, everything. It is
    checked, and appears under its name when it is complete. A PostgreSQL database is backed up
    with pg_dump.

    Example: `clv backup /backups/tracking.sqlite --force`
    """
    from clv.tracking import back_up

    settings = load_settings()
    if output.exists() and not force:
        raise OutputError(f"'{output}' exists. Give another name, or replace it with --force.")
    requests = back_up(settings.tracking_url, output)
    say(f"{_counted(requests)} in {shown(output)}")


def restore(
    source: Annotated[Path, typer.Argument(metavar="BACKUP", help="File of `clv backup`.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Replace the whole tracking database (SQLite) with a backup.

    The backup is checked before anything is touched, and may come from an older clv. What is in the
    database now is kept beside it as tracking-before-restore-TIME.sqlite. The service may run: it
    continues with the restored data. API keys, too, are then those of the backup: a key revoked
    since then is valid again. Without any key, a service that required keys refuses everybody until
    one is created, and answers without one after its next start.

    Example: `clv restore /backups/tracking.sqlite`
    """
    from clv.tracking import database_file
    from clv.tracking import restore as put_back

    settings = load_settings()
    file = database_file(settings.tracking_url)
    if not yes:
        ask(f"Replace all that is in {shown(file)} by what is in {shown(source)}?")
    keep = file.with_name(f"tracking-before-restore-{utc_now():%Y%m%dT%H%M%SZ}.sqlite")
    was_there = keep.exists()
    had_keys = file.exists() and _has_keys(settings.tracking_url)
    try:
        requests = put_back(source, settings.tracking_url, keep=keep)
    finally:
        if keep.exists() and not was_there:
            note(f"What was there before is kept in {shown(keep)}")
    audited("restore", f"{requests} requests from {shown(source)}")
    say(f"{_counted(requests)} restored to {shown(file)}")
    if had_keys and not _has_keys(settings.tracking_url):
        note(
            "The backup holds no API key; the database did. A service that required keys now "
            "refuses everybody, and answers without a key after its next start. "
            "Make one: clv keys create NAME --scope admin"
        )


def _has_keys(url: str) -> bool:
    """Whether there are keys, as far as can be told: what is restored over may be damaged."""
    from clv.tracking import KeyStore, open_database

    with suppress(StoreError), ExitStack() as closing:
        engine = open_database(url)
        closing.callback(engine.dispose)
        return bool(KeyStore(engine).keys())
    return False


@app.command()
def upgrade() -> None:
    """Migrate the tables to the newest revision that this clv knows; their rows are kept.

    A service does this when it starts.

    Example: `clv db upgrade`
    """
    from clv.sql import shown as without_password
    from clv.tracking import newest, open_database
    from clv.tracking import upgrade as migrate

    engine = open_database(load_settings().tracking_url)
    try:
        before = migrate(engine)
    finally:
        engine.dispose()
    name = without_password(engine.url)
    if before == newest():
        say(f"{name} is at revision {before}, the newest: nothing to do.")
    else:
        came_from = f"revision {before}" if before else "no tables"
        say(f"{name}: from {came_from} to revision {newest()}.")


@app.command()
def version(as_json: JsonOption = False) -> None:
    """Show the revision of the tables, and the newest that this clv knows.

    Example: `clv db version`
    """
    from clv.tracking import current, is_there, newest, open_database

    url, revision = load_settings().tracking_url, None
    if is_there(url):  # to open a file would make it
        engine = open_database(url)
        try:
            revision = current(engine)
        finally:
            engine.dispose()
    if as_json:
        print_json({"revision": revision, "newest": newest()})
        return
    say(f"Revision of the database: {revision or 'none, it has no tables yet'}")
    say(f"Newest that this clv knows: {newest()}")


def _counted(requests: int) -> str:
    return f"{requests:,} tracked request{'' if requests == 1 else 's'}"
