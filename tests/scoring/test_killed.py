"""Killed at any moment, `clv score` leaves the old output or the new one, and never a part."""

import os
import signal
from pathlib import Path

import pyarrow.parquet
import pytest

from clv.data.simulate import simulate
from support.commands import WARM

# Ends itself, as kill -9 would, when Arrow has written so many batches, or just before the rename.
_SCORE = """
import os, signal, sys
import clv.files, clv.data.output as output
at, ends = int(sys.argv.pop(1)), int(sys.argv.pop(1))
class Counting(output.pyarrow.parquet.ParquetWriter):
    written = 0
    def write_table(self, *arguments, **options):
        if Counting.written == at:
            os.kill(os.getpid(), ends)
        Counting.written += 1
        super().write_table(*arguments, **options)
    def close(self):
        super().close()
        if at == -1:
            os.kill(os.getpid(), ends)
output.pyarrow.parquet.ParquetWriter = Counting
if at == -2:
    os.fsync = lambda _: os.kill(os.getpid(), ends)
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
from clv.cli import main
main()
"""


@pytest.fixture(scope="module")
def customers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some batches of them."""
    path = tmp_path_factory.mktemp("many") / "customers.parquet"
    chunks = [chunk.activity for chunk in simulate(200_000)]
    with pyarrow.parquet.ParquetWriter(path, chunks[0].schema) as writer:
        for chunk in chunks:
            writer.write_table(chunk)
    return path


def run(at: int, source: Path, output: Path, home: Path, ends: int = signal.SIGKILL) -> int:
    command = ["score", str(source), "--output", str(output)]
    return WARM.run(
        _SCORE,
        ["clv", str(at), str(int(ends)), *command],
        environment={**os.environ, "CLV_HOME": str(home)},
    ).returncode


@pytest.mark.parametrize("at", [0, 1, 3, -1, -2], ids=["first", "second", "last", "end", "rename"])
def test_what_was_there_stays_until_all_is_there(
    at: int, customers: Path, trained_home: Path, tmp_path: Path
) -> None:
    output = tmp_path / "predictions.parquet"
    output.write_bytes(b"the old predictions")
    assert run(at, customers, output, trained_home) == -signal.SIGKILL
    assert output.read_bytes() == b"the old predictions"
    # Run again it finishes, whatever the first one left behind.
    assert run(1_000, customers, output, trained_home) == 0
    assert pyarrow.parquet.read_metadata(output).num_rows == 200_000


@pytest.mark.parametrize("at", [1, -1, -2], ids=["second", "end", "rename"])
@pytest.mark.parametrize(
    ("ends", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_told_to_end_it_leaves_nothing_behind(
    at: int, ends: int, code: int, customers: Path, trained_home: Path, tmp_path: Path
) -> None:
    output = tmp_path / "predictions.parquet"
    output.write_bytes(b"the old predictions")
    assert run(at, customers, output, trained_home, ends) == code
    assert output.read_bytes() == b"the old predictions"
    assert list(tmp_path.iterdir()) == [output]
