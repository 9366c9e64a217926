"""A Spark session for the time of one job, and what Spark writes: whole or not at all.

Spark 3.5 or newer, with a master (`spark://host:7077`, `yarn`, `local[2]`) or through Spark
Connect (`sc://host:15002`). What is read and written must be reachable from its executors.
"""

import re
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from clv.errors import DataError, OutputError, UsageError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

__all__ = ["failures_told", "read_table", "spark_session", "write_whole"]

# Instants are read and written as what they are, whatever the cluster's habits.
_SETTINGS = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
}
_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@contextmanager
def spark_session(master: str | None) -> Iterator["SparkSession"]:
    """A session in UTC; the user's own is used where there is one, and left as it was.

    Parameters
    ----------
    master : str, optional
        URL of the cluster; without it the session that runs already, or what `spark-submit` says.

    Raises
    ------
    UsageError
        Where PySpark is not installed, or there is no such cluster.
    """
    try:
        from pyspark.sql import SparkSession  # noqa: PLC0415 - few have it
    except ImportError as error:
        raise UsageError(
            f"Spark needs PySpark, which cannot be imported here ({error}). Install clv[spark]."
        ) from error
    running = SparkSession.getActiveSession()
    session = running or _start(SparkSession.builder, master)
    before = {name: session.conf.get(name, None) for name in _SETTINGS}
    for name, value in _SETTINGS.items():
        session.conf.set(name, value)
    try:
        yield session
    finally:
        for name, former in before.items():
            if former is None:
                session.conf.unset(name)
            else:
                session.conf.set(name, former)
        if running is None:
            session.stop()


def _start(builder: Any, master: str | None) -> "SparkSession":
    builder = builder.appName("clv")
    if master is not None and master.startswith("sc://"):
        builder = builder.remote(master)
    elif master is not None:
        builder = builder.master(master)
        if urlsplit(master).hostname in _LOOPBACK:
            # Executors on this machine reach the driver where the master is, whatever its name is.
            builder = builder.config("spark.driver.host", "127.0.0.1")
            builder = builder.config("spark.driver.bindAddress", "127.0.0.1")
    builder = builder.config("spark.ui.showConsoleProgress", "false")
    try:
        session: SparkSession = builder.getOrCreate()
    except Exception as error:  # Py4J, gRPC and PySpark raise classes of their own
        raise UsageError(
            f"--master {master!r}: no session could be started: {_cause(error)}. "
            "Check the address, that Java is installed, and that the cluster is up."
        ) from error
    return session


@contextmanager
def failures_told(what: str) -> Iterator[None]:
    """Turn what Spark raises into one line that says what failed."""
    from pyspark.errors import PySparkException  # noqa: PLC0415 - few have it

    try:
        yield
    except (DataError, OutputError):
        raise
    except Exception as error:
        if isinstance(error, PySparkException) or "py4j" in type(error).__module__:
            raise DataError(f"{what}: {_cause(error)}.") from error
        raise


def _cause(error: Exception) -> str:
    """What is at the bottom of a failure, in one line: the last exception in Java's long story."""
    text = str(error)
    causes = re.findall(r"^(?:Caused by: )?(?:[\w$]+\.)*\w*(?:Error|Exception): (.+)$", text, re.M)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return (causes[-1] if causes else lines[0] if lines else type(error).__name__).rstrip(".: ")


def read_table(session: "SparkSession", location: str) -> "DataFrame":
    """Parquet (a file or a folder), CSV with every column as text, or a table of the catalog.

    Raises
    ------
    DataError
        Where it cannot be read.
    """
    with failures_told(f"'{location}' cannot be read by Spark"):
        name = location.rstrip("/").lower()
        if name.endswith((".csv", ".csv.gz")):
            return session.read.option("header", True).option("escape", '"').csv(location)
        if "/" in location or name.endswith(".parquet"):
            return session.read.parquet(location)
        return session.table(location)


def write_whole(
    frame: "DataFrame", output: str, check: Callable[["DataFrame"], None] = lambda _: None
) -> None:
    """Write a folder of Parquet files; it appears under its name when it is complete.

    Through Spark Connect nothing can be renamed: there a folder is complete once it holds
    `_SUCCESS`.

    Parameters
    ----------
    frame : DataFrame
    output : str
        A path or the URL of one, which must not exist yet.
    check : callable
        Given what was written, before it has its name; what it raises keeps it from getting it.

    Raises
    ------
    OutputError
        Where there is something already: Spark replaces no folder in one step.
    """
    session = frame.sparkSession
    if not hasattr(session, "_jsc"):
        frame.write.mode("errorifexists").parquet(output)
        check(session.read.parquet(output))
        return
    files = _FileSystem(session, output)
    if files.exists(output):
        raise OutputError(f"'{output}' exists already. Give another name, or remove it.")
    part = f"{output.rstrip('/')}.{uuid.uuid4().hex[:8]}.part"
    try:
        frame.write.parquet(part)
        check(session.read.parquet(part))
        files.rename(part, output)
    finally:
        files.remove(part)


class _FileSystem:
    """The file system that Spark writes to, whichever it is, through Hadoop's interface."""

    def __init__(self, session: Any, location: str) -> None:
        hadoop = session._jvm.org.apache.hadoop.fs  # noqa: SLF001 - there is no public way
        self._path = hadoop.Path
        configuration = session._jsc.hadoopConfiguration()  # noqa: SLF001
        self._files = self._path(location).getFileSystem(configuration)

    def exists(self, location: str) -> bool:
        return bool(self._files.exists(self._path(location)))

    def rename(self, part: str, location: str) -> None:
        if not self._files.rename(self._path(part), self._path(location)):
            raise OutputError(f"'{part}' could not be renamed to '{location}'.")

    def remove(self, location: str) -> None:
        self._files.delete(self._path(location), True)
