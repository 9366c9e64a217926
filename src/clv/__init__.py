"""clv: what a customer will be worth, from what they did in their first days.

Importing does nothing; see docs/data-scientists.md for the pieces and how they fit.
"""

__all__ = ["__version__"]

__version__: str


def __getattr__(name: str) -> str:
    """The version of the installed package; looked up when it is asked for."""
    if name != "__version__":
        raise AttributeError(f"module 'clv' has no attribute {name!r}")
    from importlib.metadata import version  # noqa: PLC0415 - importing does nothing

    return version("clv")
