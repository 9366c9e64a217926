"""Tracked requests, outcomes, keys and sessions, in SQLite or PostgreSQL.

`RequestLog` is what the service sees; `open_request_log` gives the real one, `InMemoryRequestLog`
is the fake for tests. `RequestQueries` shows what was kept, `KeyStore` keeps who may ask,
`OutcomeStore` what passengers spent in the end: `promises` says which prediction that is held
against, `read_tracked` adds both up, `prune` lets go of rows and keeps their sums.
Importing this package opens nothing.
"""

from clv.tracking.backup import back_up, database_file, is_there
from clv.tracking.database import database_warnings, one_at_a_time, open_database
from clv.tracking.guard import require_in_place
from clv.tracking.keeping import Erased, erase, export, prune
from clv.tracking.keys import ApiKey, KeyStore, Scope, split_key
from clv.tracking.log import InMemoryRequestLog, RequestLog, Source, TrackedRequest
from clv.tracking.outcomes import Outcome, OutcomeStore, Recorded
from clv.tracking.promises import BY_OUTCOME, KEYS, UNMATCHED
from clv.tracking.queries import Asked, Bucket, Recent, RequestQueries
from clv.tracking.reading import (
    Judged,
    OutcomeCounts,
    Spread,
    Tracked,
    read_judged,
    read_tracked,
)
from clv.tracking.restoring import restore
from clv.tracking.revision import current, newest, upgrade
from clv.tracking.sessions import Session, SessionStore
from clv.tracking.tables import AMOUNTS, COUNTS, api_keys, metadata, requests
from clv.tracking.writer import DatabaseRequestLog, open_request_log

__all__ = [
    "AMOUNTS",
    "BY_OUTCOME",
    "COUNTS",
    "KEYS",
    "UNMATCHED",
    "ApiKey",
    "Asked",
    "Bucket",
    "DatabaseRequestLog",
    "Erased",
    "InMemoryRequestLog",
    "Judged",
    "KeyStore",
    "Outcome",
    "OutcomeCounts",
    "OutcomeStore",
    "Recent",
    "Recorded",
    "RequestLog",
    "RequestQueries",
    "Scope",
    "Session",
    "SessionStore",
    "Source",
    "Spread",
    "Tracked",
    "TrackedRequest",
    "api_keys",
    "back_up",
    "current",
    "database_file",
    "database_warnings",
    "erase",
    "export",
    "is_there",
    "metadata",
    "newest",
    "one_at_a_time",
    "open_database",
    "open_request_log",
    "prune",
    "read_judged",
    "read_tracked",
    "requests",
    "require_in_place",
    "restore",
    "split_key",
    "upgrade",
]
