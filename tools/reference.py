"""Write what the documents take from the code, or check that they still say what the code says.

That is docs/reference.md, and the layout of the packages in README.md.

python tools/reference.py            write them
python tools/reference.py --check    exit 1 where one would change
"""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from clv.cli import app
from clv.service.app import create_api
from clv.settings import Settings

ROOT = Path(__file__).parent.parent
REFERENCE, README = ROOT / "docs" / "reference.md", ROOT / "README.md"


def commands() -> Iterator[str]:
    """Every command with its arguments and options, as --help has them."""
    yield "## Commands\n"
    yield "Exit codes: 0 done, 1 failed for a stated reason, 2 wrong usage; 3 where `clv monitor`"
    yield "raises an alarm.\n"
    yield from _command(typer.main.get_command(app), "clv")


def _command(command: Any, name: str) -> Iterator[str]:
    children = getattr(command, "commands", {})
    for child_name, child in children.items():
        yield from _command(child, f"{name} {child_name}")
    if children:
        return
    yield f"### `{name}`\n"
    yield _reflowed(command.help) + "\n"
    yield "| argument or option | | default |\n|---|---|---|"
    for parameter in command.params:
        if parameter.name == "help":
            continue
        is_option = parameter.opts[0].startswith("-")
        names = parameter.opts if is_option else [parameter.metavar or parameter.name.upper()]
        annotation = parameter.type_descriptor.annotation
        choices = get_args(annotation) if get_origin(annotation) is Literal else ()
        shown = ", ".join(f"`{option}`" for option in names)
        if choices:
            shown += f" ({' or '.join(choices)})"
        default = "" if parameter.default in (None, False) else f"`{parameter.default}`"
        required = "required" if parameter.required else default
        yield f"| {shown} | {_reflowed(parameter.help)} | {required} |"
    yield ""


def _reflowed(text: str | None) -> str:
    paragraphs = (text or "").strip().split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs).replace("|", "\\|")


def settings() -> Iterator[str]:
    """Every setting."""
    yield "## Settings\n"
    yield "Environment variables; each is read once, at the start.\n"
    yield "| variable | | default |\n|---|---|---|"
    for name, field in Settings.model_fields.items():
        alias = field.validation_alias
        variable = alias.choices[0] if hasattr(alias, "choices") else f"CLV_{name.upper()}"
        value = field.default
        text = ", ".join(value) if isinstance(value, tuple) else str(value)
        default = f"`{text}`" if text else ""
        yield f"| `{variable}` | {_reflowed(field.description)} | {default} |"
    yield ""


def http() -> Iterator[str]:
    """Every route, with an example where the schema has one."""
    document = create_api(Settings()).openapi()
    schemas = document["components"]["schemas"]
    yield "## HTTP\n"
    yield "Interactive at `/docs`, machine-readable at `/openapi.json`. Errors are problem details"
    yield "after RFC 9457 (`application/problem+json`) that name the field, the value and what was"
    yield "expected.\n"
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"### `{method.upper()} {path}`\n"
            yield _reflowed(operation["description"]) + "\n"
            body = operation.get("requestBody", {}).get("content", {}).get("application/json")
            if body:
                yield from _fields("Body", schemas[body["schema"]["$ref"].rsplit("/")[-1]])
            content = operation["responses"]["200"]["content"]
            answer = content.get("application/json", {}).get("schema", {})
            if "$ref" in answer:
                yield from _fields("Answer", schemas[answer["$ref"].rsplit("/")[-1]])
            for status, response in operation["responses"].items():
                if status != "200":
                    yield f"- {status}: {response['description']}"
            yield ""


def _fields(title: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f"{title}:\n"
    yield "| field | type | |\n|---|---|---|"
    for name, field in schema["properties"].items():
        parts = (field.get("description", ""), _range(field, "minimum", "maximum"))
        described = "; ".join(part for part in parts if part)
        yield f"| `{name}` | {_kind(field)} | {described} |"
    yield ""


def _kind(field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_kind(one) for one in field["anyOf"])
    if "$ref" in field:
        return str(field["$ref"]).rsplit("/", maxsplit=1)[-1]
    if field["type"] == "array":
        size = _range(field, "minItems", "maxItems")
        return f"array of {size + ' ' if size else ''}{_kind(field['items'])}"
    return str(field["type"])


def _range(field: dict[str, Any], least: str, most: str) -> str:
    if most not in field:
        return ""
    above = "above " if least not in field else ""
    low, high = (f"{field.get(name, 0):,.12g}" for name in (least, most))
    return f"{above}{low} to {high}"


def layout() -> Iterator[str]:
    """The packages in the order of the import contract, each with the line it says of itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    layers, *_ = project["tool"]["importlinter"]["contracts"]
    yield "src/clv/"
    for layer in layers["layers"]:
        for name in layer.split(" | "):
            path = ROOT / "src" / "clv" / name
            is_package = path.is_dir()
            file = path / "__init__.py" if is_package else path.with_suffix(".py")
            summary, *_ = (ast.get_docstring(ast.parse(file.read_text())) or "").split("\n")
            yield f"  {name + ('/' if is_package else '.py'):<14}{summary}"


def readme() -> str:
    """README.md with the layout as it is."""
    block = re.compile(r"(<!-- written by `make docs`[^\n]*-->\n```\n).*?(```\n)", re.DOTALL)
    lines = "".join(f"{line}\n" for line in layout())
    return block.sub(lambda found: found[1] + lines + found[2], README.read_text(), count=1)


def main() -> int:
    """Write or check."""
    parts = [
        "# Reference\n",
        "Generated from the code by `make docs`; `make check` fails where it is out of step.\n",
        *commands(),
        *settings(),
        *http(),
    ]
    text = "\n".join(parts).rstrip() + "\n"
    outdated = 0
    for file, now in ((REFERENCE, text), (README, readme())):
        if "--check" not in sys.argv:
            file.write_text(now)
        elif not file.exists() or file.read_text() != now:
            print(f"{file.relative_to(ROOT)} is out of step with the code. Run `make docs`.")
            outdated = 1
    return outdated


if __name__ == "__main__":
    sys.exit(main())
