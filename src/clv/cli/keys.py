"""`clv keys`: who may use the service."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from clv.cli.environment import load_settings
from clv.cli.show import JsonOption, audited, note, print_json, say, table
from clv.clock import utc_now

if TYPE_CHECKING:
    from clv.tracking import ApiKey, KeyStore

__all__ = ["app"]

app = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True)


@contextmanager
def _store() -> Iterator["KeyStore"]:
    from clv.tracking import KeyStore, open_database, upgrade

    engine = open_database(load_settings().tracking_url)
    try:
        upgrade(engine)
        yield KeyStore(engine)
    finally:
        engine.dispose()


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the user or purpose, such as 'marketing'.")],
    scope: Annotated[
        list[str],
        typer.Option(help="Scope: predict, read, outcomes or admin (everything); repeatable."),
    ],
    requests_per_s: Annotated[
        float | None,
        typer.Option(
            help="Rate limit of the key, in requests per second. Default: the service's limit.",
            show_default=False,
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Create a key and print it once; only its hash is stored.

    The key alone goes to standard output, so that a script can read it. Clients send it with each
    request as the header `Authorization: Bearer KEY`. While a database has no key, its service
    answers without one, or only predicts if other machines can reach it; from the first key on,
    every route but /health, /ready and the documentation needs one.

    Example: `clv keys create marketing --scope predict --requests-per-s 100`
    """
    with _store() as store:
        key, text = store.create(name, scope, at=utc_now(), requests_per_s=requests_per_s)
        is_first = len(store.keys()) == 1
    audited("create key", f"{key.id} {key.name!r} for {_scopes(key)}")
    if as_json:
        print_json({**_public(key), "key": text})
    else:
        say(text)
    note(f"Key {key.id} for {key.name}, good for: {_scopes(key)}. It is shown this once: keep it.")
    note("Send it with each request: Authorization: Bearer KEY")
    if is_first:
        note(
            "It is the first key of this database: from now on every route but /health, /ready and "
            "the documentation needs one."
        )


@app.command("list")
def list_keys(as_json: JsonOption = False) -> None:
    """List all keys, oldest first, including revoked ones; secrets are not stored.

    Example: `clv keys list`
    """
    from clv.tracking import is_there

    keys: list[ApiKey] = []
    if is_there(load_settings().tracking_url):
        with _store() as store:
            keys = store.keys()
    if as_json:
        print_json([_public(key) for key in keys])
    elif not keys:
        say(
            "There is no key yet: the service answers without one, and only predicts if other "
            "machines can reach it. Make one: clv keys create NAME --scope predict"
        )
    else:
        table(
            "Keys (times in UTC)",
            ("id", "name", "scopes", "limit", "created", "last used", "revoked"),
            [
                (
                    key.id,
                    key.name,
                    _scopes(key),
                    "default" if key.requests_per_s is None else f"{key.requests_per_s:g}/s",
                    _minute(key.created_at),
                    _minute(key.last_used_at),
                    _minute(key.revoked_at),
                )
                for key in keys
            ],
            text=("name", "scopes"),
        )


@app.command()
def revoke(
    key_id: Annotated[
        str, typer.Argument(metavar="ID", help="Key id, as shown by `clv keys list`.")
    ],
) -> None:
    """Revoke a key for good. It stays in the list.

    If all keys of a database are revoked, its service refuses everybody.

    Example: `clv keys revoke 3f9a01c2`
    """
    with _store() as store:
        key = store.revoke(key_id, at=utc_now())
        keys = store.keys()
    audited("revoke key", f"{key.id} {key.name!r}")
    say(f"Key {key.id} ({key.name}) is revoked since {_minute(key.revoked_at)} UTC.")
    if all(one.revoked_at for one in keys):
        say(
            "No usable key is left: the service is closed to all until you create one "
            "(clv keys create NAME --scope predict)."
        )


def _public(key: "ApiKey") -> dict[str, Any]:
    """What anybody may see; field by field, so that a new one is not shown by accident."""
    return {
        "id": key.id,
        "name": key.name,
        "scopes": sorted(key.scopes),
        "requests_per_s": key.requests_per_s,
        "created_at": key.created_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }


def _scopes(key: "ApiKey") -> str:
    return ", ".join(sorted(key.scopes))


def _minute(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else ""
