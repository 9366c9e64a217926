"""`clv models`: the registry."""

from typing import TYPE_CHECKING, Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.scoring import predictor_of
from clv.cli.show import JsonOption, audited, print_json, say, table
from clv.cli.user import user

if TYPE_CHECKING:
    from clv.registry import Registry

__all__ = ["app"]

app = typer.Typer(help="List, promote and roll back versions of the model.", no_args_is_help=True)


def _registry() -> "Registry":
    from clv.registry import open_registry

    return open_registry(load_settings(), by=user())


@app.command("list")
def list_versions(as_json: JsonOption = False) -> None:
    """List all versions, newest first.

    Example: `clv models list`
    """
    versions = _registry().versions()
    if as_json:
        print_json(versions)
    elif not versions:
        say("There is no model yet. Train one: clv train --data SOURCE")
    else:
        champion = [position for position, one in enumerate(versions) if "champion" in one.aliases]
        table(
            "Models",
            ("version", "alias", "model", "cv MSE", "test MSE", "created (UTC)", "reason"),
            [
                (
                    version.number,
                    ", ".join(version.aliases),
                    version.model,
                    version.tags.get("cv_mse", ""),
                    version.tags.get("test_mse", ""),
                    f"{version.created_at:%Y-%m-%d %H:%M}",
                    version.reason,
                )
                for version in versions
            ],
            mark=champion[0] if champion else -1,
            text=("alias", "model", "reason"),
        )


@app.command()
def promote(
    version: Annotated[str, typer.Argument(help="Version number, as shown by `clv models list`.")],
    reason: Annotated[
        str, typer.Option(help="Why. Kept with the version and in the history.")
    ] = "promoted by hand",
) -> None:
    """Make a version the champion; running services pick it up.

    Example: `clv models promote 3`
    """
    predictor_of(load_settings(), version)  # what no service could load must not become champion
    _registry().promote(version, reason)
    audited("promote", f"version {version}: {reason!r}")
    say(f"Version {version} is champion.")


@app.command()
def rollback(
    reason: Annotated[
        str, typer.Option(help="Why. Kept with both versions and in the history.")
    ] = "no reason given",
) -> None:
    """Return to the previous champion.

    Example: `clv models rollback --reason "predicts 20% too much"`
    """
    registry = _registry()
    if before := registry.champion_before():
        predictor_of(load_settings(), before)  # as in `promote`
    champion = registry.rollback(reason)
    audited("roll back", f"to version {champion}")
    say(f"Version {champion} is champion again.")


@app.command()
def history(as_json: JsonOption = False) -> None:
    """List who changed the champion or the challenger, when and why; newest first.

    Example: `clv models history`
    """
    decisions = _registry().history()
    if as_json:
        print_json(decisions)
    elif not decisions:
        say("No decision has been recorded yet.")
    else:
        table(
            "History",
            ("when (UTC)", "action", "version", "became", "champion before", "by", "reason"),
            [
                (
                    f"{one.at:%Y-%m-%d %H:%M}",
                    one.action,
                    one.version,
                    one.alias,
                    one.previous or "",
                    one.by,
                    one.reason,
                )
                for one in decisions
            ],
            text=("action", "became", "by", "reason"),
        )
