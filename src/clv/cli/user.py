"""Who uses the command line."""

import getpass
import os

__all__ = ["user"]


def user() -> str:
    """The user of this process, for the registry's history."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):  # a container may run under a number that has no name
        name = f"uid {os.getuid()}"
    return f"command line ({name})"
