"""A service without API keys: what it answers, to whom, and under which names."""

import re
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from ipaddress import ip_address
from typing import Self

from clv.service.problems import RefusedError
from clv.settings import Settings
from clv.tracking import Scope

__all__ = ["AnonymousAccess", "is_loopback"]

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d+)?").fullmatch
_SHOWN = 60  # characters of a name that are repeated
_MAKE_ONE = "create an API key: clv keys create NAME --scope admin"


@dataclass(frozen=True, slots=True)
class AnonymousAccess:
    """What is answered as long as no API key exists; with a key, none of this matters.

    Attributes
    ----------
    loopback : bool
        Whether the service can be reached from this machine only.
    allowed : bool
        Whether everything is answered off loopback, too (`CLV_ALLOW_ANONYMOUS`).
    hosts : tuple of str
        Names that it may be called by (`CLV_ALLOWED_HOSTS`), besides those of this machine.
    """

    loopback: bool
    allowed: bool
    hosts: tuple[str, ...]

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say."""
        return cls(is_loopback(settings.host), settings.allow_anonymous, settings.allowed_hosts)

    def check(self, host: bytes, scope: Scope) -> None:
        """Refuse a request that takes a key.

        Parameters
        ----------
        host : bytes
            The `Host` header.
        scope : Scope
            What the request needs.

        Raises
        ------
        RefusedError
            403 if the name is not allowed, as when the page of another site had its own name
            resolve to this machine (DNS rebinding); or if a service that can be reached from
            other machines was not opened on purpose.
        """
        if not _is_allowed(host, self.hosts):
            name = ascii(host[:_SHOWN].decode("latin-1"))[1:-1]
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                f"Host '{name}' is not allowed while no API key exists. Use localhost or "
                f"127.0.0.1, add the name to CLV_ALLOWED_HOSTS, or {_MAKE_ONE}",
            )
        if scope is not Scope.PREDICT and not self.loopback and not self.allowed:
            raise RefusedError(
                HTTPStatus.FORBIDDEN,
                "No API key exists and other machines can reach this service, so it only predicts. "
                f"To use everything, {_MAKE_ONE}. To open it without keys on purpose, set "
                "CLV_ALLOW_ANONYMOUS=true.",
            )

    @property
    def warning(self) -> str | None:
        """What an operator should know as long as no key exists; nothing on loopback."""
        if self.loopback:
            return None
        if self.allowed:
            return (
                "No API key exists and CLV_ALLOW_ANONYMOUS is set: everyone who can reach this "
                f"service can read, change and delete everything. To close it, {_MAKE_ONE}"
            )
        return (
            "No API key exists, so only predictions are answered. If there should be keys, check "
            f"CLV_DATABASE_URL and CLV_HOME. Otherwise {_MAKE_ONE}"
        )


def is_loopback(host: str) -> bool:
    """Whether a name or an address, without port and brackets, belongs to this machine alone."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


@lru_cache(maxsize=64)
def _is_allowed(header: bytes, hosts: tuple[str, ...]) -> bool:
    """Whether a `Host` header is a name of this machine or an allowed one.

    Browsers always send one, so a request without it comes from no web page.
    """
    if not header or "*" in hosts:
        return True
    found = _HOST(header.decode("latin-1").lower())
    if found is None:
        return False
    name = found[1].strip("[]")
    return is_loopback(name) or any(
        name.endswith(one[1:]) if one.startswith("*.") else name == one.strip("[]") for one in hosts
    )
