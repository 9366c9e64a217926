"""Every route that an application knows, documented or not."""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["routes_of"]


def routes_of(routes: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """Methods and paths; a kind of route that has none fails here rather than being forgotten."""
    for route in routes:
        included = getattr(route, "original_router", None)
        if included is not None:
            yield from routes_of(included.routes)
        else:
            yield from ((method, route.path) for method in route.methods)
