"""Errors that a caller can act on.

ClvError
├── DataError          the input cannot be used: names column, value, expectation, next step
├── OutputError        an output cannot be written; what was there before still stands
├── NotTrainedError    there is no champion yet
├── BundleError        a bundle is broken, tampered with, of another version, or unlike its original
├── RegistryError      the model registry refused, is away, or holds no such version
├── StoreError         the tracking database refused or is away
├── ServeError         the service cannot listen where it should
└── UsageError         settings or arguments contradict each other, or an extra is not installed
"""

__all__ = [
    "BundleError",
    "ClvError",
    "DataError",
    "NotTrainedError",
    "OutputError",
    "RegistryError",
    "ServeError",
    "StoreError",
    "UsageError",
]


class ClvError(Exception):
    """Base of every error raised on purpose; its text is one sentence or two for a person."""


class DataError(ClvError):
    """The input cannot be used."""


class OutputError(ClvError):
    """An output cannot be written; what was there before still stands."""


class NotTrainedError(ClvError):
    """A prediction was asked for and there is no champion."""


class BundleError(ClvError):
    """A bundle cannot be trusted or read."""


class RegistryError(ClvError):
    """The model registry refused, is away, or holds no such version."""


class StoreError(ClvError):
    """The tracking database refused or is away."""


class ServeError(ClvError):
    """The service cannot listen where it should."""


class UsageError(ClvError):
    """What was asked for contradicts itself or is not installed."""
