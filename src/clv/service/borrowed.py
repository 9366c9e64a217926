"""The parts of other packages that this service uses although they do not promise to keep them.

Each is checked as a service starts, so that a release without one is refused in words; the bounds
of these packages in `pyproject.toml` keep that from happening.
"""

from importlib.metadata import version
from operator import attrgetter

import httptools
import prometheus_client.values
from uvicorn.protocols.http import flow_control, httptools_impl
from uvicorn.supervisors import multiprocess

from clv.errors import ServeError

__all__ = ["check_borrowed"]

# Package, what has it, and the names that are used of it.
_BORROWED: tuple[tuple[str, object, tuple[str, ...]], ...] = (
    (
        "uvicorn",
        httptools_impl,
        (
            "HttpToolsProtocol._start_asgi_task",
            "HttpToolsProtocol._unset_keepalive_if_required",
            "HttpToolsProtocol.on_response_complete",
            "HttpToolsProtocol.send_400_response",
            "RequestResponseCycle.run_asgi",
        ),
    ),
    ("uvicorn", flow_control, ("FlowControl.pause_reading", "FlowControl.resume_reading")),
    ("uvicorn", multiprocess, ("STARTUP_FAILURE", "Multiprocess.handle_term")),
    (
        "httptools",
        httptools,
        (
            "HttpRequestParser.should_upgrade",
            "HttpRequestParser.set_dangerous_leniencies",
            "HttpParserUpgrade",
        ),
    ),
    ("prometheus-client", prometheus_client.values, ("MultiProcessValue", "ValueClass")),
)


def check_borrowed() -> None:
    """Check that all borrowed names are there.

    Raises
    ------
    ServeError
        If one is not; names it, its package and the version.
    """
    for package, owner, names in _BORROWED:
        for name in names:
            try:
                attrgetter(name)(owner)
            except AttributeError:
                raise ServeError(
                    f"{package} {version(package)} has no '{name}', which this service needs. "
                    "Install a version that pyproject.toml allows."
                ) from None
