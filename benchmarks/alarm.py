"""How often the alarm is wrong, and how soon it is right."""

from pathlib import Path
from statistics import median

import numpy as np

from benchmarks.crowd import Crowd, year_of
from benchmarks.year import CHANGED
from clv.bundle import Predictor
from clv.data.simulate import SampleModel
from clv.monitoring.alarm import watch_bias, watch_coverage

__all__ = ["alarm"]

_YEARS, _WEEKS, _CHANGES = 100, 52, 26
_KNOWN = 1_500
_BEHAVIOURS = (
    ("nothing", SampleModel()),
    ("a little", SampleModel(dropout_a=1.9, mean_fare=20.4 * 1.15)),
    ("more", SampleModel(dropout_a=2.4, mean_fare=20.4 * 1.2)),
    ("half as many return", CHANGED),
)


def alarm(bundle: Path) -> str:
    """Quiet years, and years in which behaviour changes in the middle."""
    predictor = Predictor.load(bundle)
    lines = [
        "## The alarm",
        "",
        (
            f"{_KNOWN:,} outcomes a week; behaviour changes in week {_CHANGES + 1} of {_WEEKS}: "
            "fewer return, fares are higher. Bias is that of the old model on those who come then."
        ),
        "",
        (
            "| what changes | years | bias then | alarm of bias | of coverage | too early | "
            "weeks until bias is flagged, median |"
        ),
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    naive = quiet = 0
    for name, model in _BEHAVIOURS:
        years = _YEARS if name == "nothing" else 20
        biases, delays, raised, uncovered, early = [], [], 0, 0, 0
        for seed in range(1, years + 1):
            before, after = (Crowd(predictor, kind, seed) for kind in (SampleModel(), model))
            weeks = [(before if k < _CHANGES else after).take(_KNOWN) for k in range(_WEEKS)]
            year = year_of(weeks)
            said = sum(week["predicted"].sum() for week in weeks[_CHANGES:])
            biases.append(said / sum(week["actual"].sum() for week in weeks[_CHANGES:]) - 1)
            watch = watch_bias(year, predictor.calibration)
            uncovered += watch_coverage(year, predictor.calibration).raised is not None
            if name == "nothing":
                raised += watch.raised is not None
                quiet += watch.raised is not None
                naive += any(_weekly_test(week) for week in weeks)
                continue
            if watch.raised is not None:
                at = watch.weeks.index(watch.raised) - _CHANGES + 1
                early += at < 1
                raised += 1
                delays.append(at)
        delay = f"{median(delays):.0f}" if delays else "–"
        lines.append(
            f"| {name} | {years} | {np.mean(biases):+.1%} | {raised} | {uncovered} | "
            f"{early if name != 'nothing' else '–'} | {delay} |"
        )
    return "\n".join(
        [
            *lines,
            "",
            "| promised | measured |",
            "|---|--:|",
            f"| at most 5 of {_YEARS} quiet years raise an alarm of bias | {quiet} |",
            f"| beside it: quiet years in which a t-test of each week at 5% raises one | {naive} |",
        ]
    )


def _weekly_test(week: dict[str, np.ndarray]) -> bool:
    """Whether this week is off by a t-test at 5%, which is what is done instead."""
    off = week["actual"] - week["predicted"]
    return bool(abs(off.mean()) > 1.96 * off.std(ddof=1) / np.sqrt(len(off)))
