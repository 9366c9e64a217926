"""`clv report`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from clv.cli.environment import load_settings
from clv.cli.scoring import ModelVersion
from clv.cli.show import JsonOption, print_json, say, shown, table

__all__ = ["report"]


def report(
    model_version: ModelVersion = None,
    output: Annotated[
        Path | None, typer.Option(help="Page to write. Default: `report.html` in CLV_HOME.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the training report of a version, with the checks of its method.

    The page opens in any browser, without a network. With --json, prints all figures and writes the
    page only if --output is given.

    Example: `clv report`
    """
    from clv.evaluation import REPORT_JSON, REPORT_PAGE
    from clv.files import write_text
    from clv.registry import open_registry

    settings = load_settings()
    registry = open_registry(settings)
    number = model_version or registry.champion()
    found = json.loads(registry.report(number, REPORT_JSON).read_bytes())
    page = output or settings.root / REPORT_PAGE
    if output or not as_json:
        write_text(page, registry.report(number, REPORT_PAGE).read_text(encoding="utf-8"))
    if as_json:
        print_json(found)
        return
    table(
        f"Version {number}: {found['champion']}",
        ("code", "check", "status", "found"),
        [
            (check["code"], check["title"], check["status"], check["found"])
            for check in found["checks"]
        ],
        text=("check", "status", "found"),
    )
    say("")
    for check in found["checks"]:
        if check["status"] == "issue":
            say(f"{check['code']}: {check['advice']}")
    say(found["verdict"])
    say(f"Report: {shown(page)}")
