"""The socket of the service. Imports nothing that takes long: a port in use is refused at once."""

import socket

from clv.errors import ServeError

__all__ = ["bind"]


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound to an address, and does not listen yet.

    Raises
    ------
    ServeError
        If the address cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise ServeError(
            f"Cannot listen on {host}:{port}: {reason}. "
            "Stop what is there, or choose another with --port or CLV_PORT."
        ) from error
    listening.set_inheritable(True)
    return listening
