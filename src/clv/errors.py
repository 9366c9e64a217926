"""Errors that a caller can act on.

ClvError
├── DataError          the input cannot be used: names column, value, expectation, next step
├── OutputError        an output cannot be written; what was there before still stands
├── NotTrainedError    there is no champion yet
├── BundleError        a bundle is broken, tampered with, of another version, or unlike its original
├── RegistryError      the model registry refused or is away
│   ├── NoSuchVersionError   it holds no such version
│   └── PromotionError       the champion is another than was thought, or there is none to return to
├── StoreError         the tracking database refused or is away
│   ├── QueueFullError       more rows wait to be stored than may
│   └── DatabaseMovedError   its file is not the one that was opened
├── ServeError         the service cannot listen where it should
└── UsageError         settings or arguments contradict each other, or an extra is not installed
"""

__all__ = [
    "BundleError",
    "ClvError",
    "DataError",
    "DatabaseMovedError",
    "NoSuchVersionError",
    "NotTrainedError",
    "OutputError",
    "PromotionError",
    "QueueFullError",
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
    """The model registry refused or is away."""


class NoSuchVersionError(RegistryError):
    """The registry holds no such version."""


class PromotionError(RegistryError):
    """The champion is another than was thought, or there is none to return to."""


class StoreError(ClvError):
    """The tracking database refused or is away."""


class QueueFullError(StoreError):
    """More rows wait to be stored than may."""


class DatabaseMovedError(StoreError):
    """The file of the tracking database was deleted, replaced or overwritten while it was open."""


class ServeError(ClvError):
    """The service cannot listen where it should."""


class UsageError(ClvError):
    """What was asked for contradicts itself or is not installed."""
