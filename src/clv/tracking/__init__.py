"""Where each answered prediction is kept: SQLite or PostgreSQL, committed before the answer.

`RequestLog` is what the service sees; `open_request_log` gives the real one, `InMemoryRequestLog`
is the fake for tests. `RequestQueries` shows what was kept, `KeyStore` keeps who may ask.
Importing this package opens nothing.
"""

from clv.tracking.backup import back_up, database_file, is_there
from clv.tracking.database import open_database
from clv.tracking.keys import ApiKey, KeyStore, Scope, split_key
from clv.tracking.log import InMemoryRequestLog, RequestLog, TrackedRequest
from clv.tracking.migrate import current, newest, upgrade
from clv.tracking.queries import Asked, Bucket, Recent, RequestQueries
from clv.tracking.restoring import restore
from clv.tracking.tables import api_keys, metadata, requests
from clv.tracking.writer import DatabaseRequestLog, open_request_log

__all__ = [
    "ApiKey",
    "Asked",
    "Bucket",
    "DatabaseRequestLog",
    "InMemoryRequestLog",
    "KeyStore",
    "Recent",
    "RequestLog",
    "RequestQueries",
    "Scope",
    "TrackedRequest",
    "api_keys",
    "back_up",
    "current",
    "database_file",
    "is_there",
    "metadata",
    "newest",
    "open_database",
    "open_request_log",
    "requests",
    "restore",
    "split_key",
    "upgrade",
]
