"""Run every benchmark and write docs/benchmarks.md.

Figures of speed are from one machine and one run; ratios within a run are what to compare.
"""

import os
import platform
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.alarm import alarm
from benchmarks.engines import cdnow, features, scores, spark
from benchmarks.http import http
from benchmarks.intervals import intervals
from benchmarks.quality import quality
from benchmarks.reality import a_million, a_year
from benchmarks.segments import segments
from benchmarks.speed import in_memory, one_row
from benchmarks.start import start
from benchmarks.tried import tried
from clv.clock import utc_now
from clv.data.checks import read_history
from clv.data.sample import write_sample
from clv.data.sources import open_source
from clv.models.candidates import candidates
from clv.registry import open_registry
from clv.schema import Window
from clv.settings import Settings
from clv.training import TrainingResult, release, train
from clv.training.appraisal import appraise

ROOT = Path(__file__).parent.parent
DOCUMENT = ROOT / "docs" / "benchmarks.md"
SHARED = Path(os.environ.get("CLV_SHARED", ROOT.parent / "shared")) / "data"
REAL, CDNOW = SHARED / "passengers.sqlite", SHARED / "cdnow.csv"
HUGE = "200,000,000 rides"


class Said:
    """Progress as lines."""

    def start(self, stage: str, steps: int) -> None:  # noqa: D102
        print(f"  {stage} ({steps})", flush=True)

    def step(self) -> None:  # noqa: D102
        pass


def trained_on(source: Path, *, full: bool = False) -> TrainingResult:
    """`full`: the published forest's grid is searched too, which no champion depends on."""
    with open_source(source) as opened:
        return train(
            read_history(opened, Window()), progress=Said(), among=candidates(42, full=full)
        )


def all_sections(folder: Path) -> Iterator[str]:
    print("generated passengers")
    sample = write_sample(folder / "sample", passengers=20_000, seed=7).activity
    result = trained_on(sample, full=True)
    yield quality("Quality on 20,000 generated passengers", result)
    if REAL.exists():
        print("real passengers")
        result = trained_on(REAL, full=True)
        yield quality("Quality on 58,206 real passengers", result)
    appraisal = appraise(result, progress=Said())
    yield intervals("Intervals and probability of return", result, appraisal)
    print("what else was tried")
    yield tried("Tried and left out", result, appraisal)
    yield from speed(folder, result)
    yield from reality_sections(folder)


def trained(folder: Path) -> TrainingResult:
    """On the real passengers, where there are any here."""
    if REAL.exists():
        return trained_on(REAL)
    return trained_on(write_sample(folder / "sample", passengers=20_000, seed=7).activity)


def released(folder: Path, result: TrainingResult) -> Path:
    registry = open_registry(Settings(home=folder))
    return registry.bundle(release(result, registry, folder, now=utc_now()).number)


def speed_sections(folder: Path) -> Iterator[str]:
    yield from speed(folder, trained(folder))


def speed(folder: Path, result: TrainingResult) -> Iterator[str]:
    bundle = released(folder, result)
    print("speed")
    yield one_row(result, bundle)
    yield in_memory(bundle)
    yield from engines(folder, bundle)
    print("over HTTP")
    yield http(folder)
    yield segments(folder)
    print("starting")
    yield start(folder)


def engines(folder: Path, bundle: Path) -> Iterator[str]:
    print("engines")
    yield features(folder)
    yield spark(folder)
    yield scores(folder, bundle)
    if CDNOW.exists():
        yield cdnow(folder, CDNOW)


def engine_sections(folder: Path) -> Iterator[str]:
    yield from engines(folder, released(folder, trained(folder)))


def start_sections(folder: Path) -> Iterator[str]:
    print("a champion")
    sample = write_sample(folder / "sample", passengers=2_000, seed=7).activity
    with open_source(sample) as opened:
        result = train(read_history(opened, Window()), progress=Said())
    released(folder, result)
    print("starting")
    yield start(folder)


def huge_sections(folder: Path) -> Iterator[str]:
    yield features(folder, rides=200_000_000, limit="500MB", rounds=1)


def main() -> None:
    """Measure everything, or a part: speed, engines, spark, reality, start; huge is in no other."""
    only = sys.argv[1:]
    with tempfile.TemporaryDirectory() as temporary:
        made = []
        for section in PARTS[" ".join(only)](Path(temporary)):
            print(section, flush=True)  # not lost if a later one fails
            made.append(section)
    found = {_title(section): section for section in made}
    before = {_title(f"## {one}"): f"## {one}" for one in DOCUMENT.read_text().split("\n## ")[1:]}
    # What takes the better part of an hour, or was not asked for, stays as it was measured last.
    found = before | found if only else found | {t: s for t, s in before.items() if HUGE in t}
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}"
    versions = ", ".join(
        f"{name} {version(name)}"
        for name in ("lightgbm", "scikit-learn", "duckdb", "fastapi", "uvicorn")
    )
    DOCUMENT.write_text(
        "# Benchmarks\n\n"
        f"Written by `make bench` on {machine}, {versions}. "
        "Compare ratios within a run, not seconds between machines.\n\n"
        + "\n".join(f"{section.strip()}\n" for section in found.values())
    )


def reality_sections(folder: Path) -> Iterator[str]:
    print("the alarm")
    sample = write_sample(folder / "alarm", passengers=20_000, seed=7).activity
    yield alarm(released(folder / "alarm", trained_on(sample)))
    print("a year of passengers")
    yield a_year(folder)
    print("a million predictions")
    yield a_million(folder)


PARTS = {
    "": all_sections,
    "speed": speed_sections,
    "engines": engine_sections,
    "huge": huge_sections,
    "start": start_sections,
    "reality": reality_sections,
    "spark": lambda folder: iter([spark(folder)]),
}


def _title(section: str) -> str:
    return section.split("\n", 1)[0]


if __name__ == "__main__":
    main()
