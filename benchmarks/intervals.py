"""Whether intervals and probabilities keep their word, and what simpler intervals would do."""

import numpy as np

from clv.bundle import Calibration, Intervals
from clv.data.checks import History
from clv.schema import Floats, Mask
from clv.training import TrainingResult
from clv.training.appraisal import Appraisal
from clv.training.repeats import Repeats

__all__ = ["intervals"]

LEVEL = 0.9


def intervals(title: str, result: TrainingResult, appraisal: Appraisal) -> str:
    return "\n".join(
        [f"## {title}", "", *_repeats(appraisal.repeats), "", *_alternatives(result), ""]
    )


def _repeats(found: Repeats) -> list[str]:
    """The recipe on several random splits, as `clv report` shows it."""
    overall = ", ".join(
        f"{share:.1%} at {level:.0%}"
        for level, share in zip(found.levels, found.covered, strict=True)
    )
    worst = max(abs(said - came) for said, came in found.reliability)
    said = (
        f"Means over {found.times} random splits, {found.test_share:.0%} of the customers tested. "
        f"Covered in all: {overall}. Brier score of `p_return` {found.brier:.4f} against "
        f"{found.brier_of_share:.4f} for the share of all; by tenth at most {worst:.1%} off. "
        "*point*: more customers than the level never return, and the interval is what is spent "
        "already."
    )
    heads = " | ".join(f"{level:.0%} covers | width" for level in found.levels)
    lines = [
        said,
        "",
        f"| score bin | never return | {heads} |",
        "|--:|--:|" + "--:|--:|" * len(found.levels),
    ]
    for part in found.bins:
        cells = [
            f"{covered:.1%}{' (point)' if part.is_point(level) else ''} | {width:.1f}"
            for level, covered, width in zip(found.levels, part.covered, part.width, strict=True)
        ]
        lines.append(f"| {part.score_bin} | {part.never:.1%} | {' | '.join(cells)} |")
    return lines


def _alternatives(result: TrainingResult) -> list[str]:
    """Coverage of the test rows by other ways to make the same intervals."""
    seen, unseen = result.history[~result.test], result.history[result.test]
    known = np.maximum(result.choice.champion.out_of_fold - seen.activity.monetary, 0.0)
    came = seen.outcome - seen.activity.monetary
    said = result.holdout.predict(unseen.activity)
    expected = said.expected_increment
    calibration = result.holdout.uncertainty.calibration
    ours = Intervals(calibration)
    bins = ours.bin_of(expected)
    plain = _bounds_of_increments(ours.bin_of(known), came, len(calibration.bins))
    one = float(np.quantile(np.abs(came - known), LEVEL))
    ways = {
        "ratio, by score bin (ours)": said.holds(unseen.outcome),
        "increment, by score bin": _holds(unseen, plain[bins, 0], plain[bins, 1]),
        "one absolute residual for all": _holds(unseen, expected - one, expected + one),
    }
    top = np.flatnonzero(bins == len(calibration.bins) - 1)
    fifths = np.array_split(top[np.argsort(expected[top], kind="stable")], 5)
    lines = [
        f"On the test rows, at {LEVEL:.0%}, by other ways:",
        "",
        "| | all | top bin | its lowest fifth | its highest fifth |",
        "|---|--:|--:|--:|--:|",
    ]
    lines += [
        f"| {name} | {held.mean():.1%} | {held[top].mean():.1%} | {held[fifths[0]].mean():.1%} "
        f"| {held[fifths[-1]].mean():.1%} |"
        for name, held in ways.items()
    ]
    return lines


def _bounds_of_increments(bins: np.ndarray, came: Floats, count: int) -> Floats:
    """Shortest interval of the increments of each bin, from 0 as ours; shape (count, 2)."""

    def of(some: Floats) -> Calibration:
        return Calibration.of(np.ones(len(some)), some, scores=np.ones(1))

    constant = [of(came[bins == number]) for number in range(count)]
    return np.array([np.ravel(Intervals(one).bounds(LEVEL)) for one in constant])


def _holds(history: History, low: Floats, high: Floats) -> Mask:
    came = history.outcome - history.activity.monetary
    return (came >= low - 1e-6) & (came <= high + 1e-6)
