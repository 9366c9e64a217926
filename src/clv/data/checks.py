"""Read a history (activity with known outcomes) and say what is wrong with it before training.

A finding is *fatal* (training stops), *left out* (these rows are not used) or *kept* (used as they
are, and why that is right). Nothing is dropped silently: every row that is read is either used or
counted in a finding with examples.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from clv.data.conform import (
    ColumnNames,
    choose_notation,
    conform,
    find_columns,
    read_instants,
    settled,
)
from clv.data.findings import (
    EXAMPLES,
    Finding,
    Tally,
    by_severity,
    three_decimals,
    without_duplicates,
)
from clv.data.placeholders import PLACEHOLDER, without_date
from clv.data.sources import Source
from clv.errors import DataError
from clv.schema import (
    FEATURES,
    MONETARY,
    WHOLE_FLOAT,
    Activity,
    Floats,
    Instants,
    Ints,
    Mask,
    Window,
)

__all__ = ["MIN_ROWS", "History", "read_history", "require_separate"]

#: Below this, five folds hold too few returning customers to tell any two models apart.
MIN_ROWS = 200
_SHOWN_IDS = 10
# An id, and the zeros and spaces around it.
_BARE = r"^\s*(?:0+([0-9]))?(.*?)\s*$"
# A table of which most rows are unusable is the wrong table, or one that was read wrongly.
_MAX_SHARE_LEFT_OUT = 0.5


@dataclass(frozen=True, slots=True)
class History:
    """Customers whose outcome is known: what a model learns from.

    Attributes
    ----------
    ids : array of shape (n,), str
        One of each.
    activity : Activity of length n
    outcome : array of shape (n,), currency units
        Money spent from registration to the horizon, the observation window included.
    window : Window
    source : str
        Where it was read, without a password.
    rows_read : int
        Rows of the source, those left out included.
    returned : array of shape (n,), bool
        Who rode again after the observation window.
    registered_at : array of shape (n,), datetime64, or None
        When they registered, NaT where unknown; None where the source has no such column.
    findings : tuple of Finding
    unused : tuple of str
        Columns of the source that nothing is learnt from.
    """

    ids: np.ndarray
    activity: Activity
    outcome: Floats
    window: Window
    source: str
    rows_read: int
    returned: Mask
    registered_at: Instants | None = None
    findings: tuple[Finding, ...] = ()
    unused: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.activity)

    def __getitem__(self, rows: Mask | Ints) -> "History":
        """Some of the customers, by mask or by position."""
        return replace(
            self,
            ids=self.ids[rows],
            activity=self.activity[rows],
            outcome=self.outcome[rows],
            returned=self.returned[rows],
            registered_at=None if self.registered_at is None else self.registered_at[rows],
        )

    @property
    def increment(self) -> Floats:
        """Money still to come after the observation window, shape (n,), never negative."""
        return np.maximum(self.outcome - self.activity.monetary, 0.0)

    def fingerprint(self) -> str:
        """sha256 of what is learnt from; the same rows in any order give the same one."""
        rows = np.column_stack((self.activity.matrix(), self.outcome))
        return hashlib.sha256(rows[np.lexsort(rows.T)].tobytes()).hexdigest()


def read_history(source: Source, window: Window, *, to_train: bool = True) -> History:
    """Read all rows with their outcomes, check them, and keep the usable ones.

    Parameters
    ----------
    source : Source
    window : Window
    to_train : bool
        Whether something is to be learnt from them: that takes more rows than to compare
        predictions with outcomes, and outcomes that differ.

    Raises
    ------
    DataError
        Where a column is missing, there are too few usable rows, or nothing can be learnt from
        them; the message holds every fatal finding.
    """
    names = find_columns(source.name, source.columns, window, need_outcome=True)
    names, read_as = settled(source, names)
    tally = Tally()
    read = _read_usable(source, names, window, tally)
    said = np.column_stack((read.activity.matrix(), read.outcome))
    keep, duplicates = without_duplicates(read.ids, said, names.id)
    used, undated = _with_dates(read[keep], names)
    findings = [*read_as, *tally.findings(), *duplicates, *undated]
    for name, money in (
        (names.features[MONETARY], used.activity.monetary),
        (str(names.outcome), used.outcome),
    ):
        findings += three_decimals(name, money)
    findings += _too_few(used) if to_train else _none(used)
    if len(used) >= MIN_ROWS:
        findings += _whole_table(used, names, to_train=to_train)
    _stop_where_fatal(source.name, findings)
    unused = tuple(name for name in source.columns if name not in names.all())
    return replace(used, findings=by_severity(findings), unused=unused)


def require_separate(treated: History, control: History) -> list[Finding]:
    """Refuse two groups that share a customer, or hold one twice.

    Whole floats are whole numbers here as in every log: 7.0 is 7.

    Returns
    -------
    findings : list of Finding
        Ids that differ in leading zeros or spaces alone: 007 is not 7, but may be meant.

    Raises
    ------
    DataError
        Names the ids.
    """
    groups = [_replaced(history.ids, WHOLE_FLOAT, r"\1") for history in (treated, control)]
    for history, ids in zip((treated, control), groups, strict=True):
        again = [str(one) for one in history.findings if "duplicate" in one.code]
        if not again and len(set(ids)) < len(ids):
            twice = next(name for name, times in Counter(ids).items() if times > 1)
            written = sorted(set(history.ids[ids == twice]))
            again = [f"For example {' and '.join(written)} are the same id."]
        if again:
            raise DataError(
                f"'{history.source}' lists customers more than once. {' '.join(again)} "
                "Expected each customer once, in one group."
            )
    both = np.intersect1d(groups[0].astype(str), groups[1].astype(str))
    if len(both):
        shown = ", ".join(both[:_SHOWN_IDS]) + (", ..." if len(both) > _SHOWN_IDS else "")
        raise DataError(
            f"{len(both):,} customers are in both groups, '{treated.source}' and "
            f"'{control.source}': id {shown}. A customer cannot be both treated and held out: "
            "assign each customer to one group, and pass the groups as assigned."
        )
    return _alike(*groups)


def _alike(treated: np.ndarray, control: np.ndarray) -> list[Finding]:
    bare = [
        dict(zip(_replaced(ids, _BARE, r"\1\2"), ids, strict=True)) for ids in (treated, control)
    ]
    same = sorted(bare[0].keys() & bare[1].keys())
    if not same:
        return []
    says = "ids that are in both groups but for leading zeros or spaces"
    action = "They count as other customers: 007 is not 7. Write ids alike if they are the same."
    examples = tuple(f"'{bare[0][name]}' and '{bare[1][name]}'" for name in same[:EXAMPLES])
    return [Finding("kept", "alike-ids", "id", len(same), says, action, examples)]


def _replaced(ids: np.ndarray, pattern: str, replacement: str) -> np.ndarray:
    texts = pa.array(ids.astype(str), pa.string())
    replaced = pc.replace_substring_regex(texts, pattern, replacement)
    return np.asarray(replaced.to_pylist(), dtype=object)


def _read_usable(source: Source, names: ColumnNames, window: Window, tally: Tally) -> History:
    """Read the rows that keep the contract; the others are counted in `tally`."""
    ids: list[np.ndarray] = []
    matrices: list[Floats] = []
    outcomes: list[Floats] = []
    returned: list[Mask] = []
    registered: list[pa.Array] = []
    rows_read = 0
    for batch in source.batches(names.all()):
        conformed = conform(batch, names, window)
        for problem in conformed.problems:
            tally.add(problem, rows_read)
        rows_read += batch.num_rows
        keep = conformed.usable
        ids.append(np.asarray(conformed.ids.cast(pa.string()).to_pylist(), dtype=object)[keep])
        matrices.append(conformed.activity.matrix()[keep])
        outcomes.append(np.asarray(conformed.outcome)[keep])
        returned.append(np.asarray(conformed.returned)[keep])
        if conformed.registered_at is not None:
            registered.append(conformed.registered_at.filter(pa.array(keep)))
    if rows_read == 0:
        raise DataError(f"'{source.name}' holds no rows. Give a table with customers in it.")
    return History(
        np.concatenate(ids),
        Activity(*np.concatenate(matrices).T.copy()),
        np.concatenate(outcomes),
        window,
        source.name,
        rows_read,
        np.concatenate(returned),
        _instants(f"Column '{names.registered_at}' of '{source.name}'", registered),
    )


def _instants(column: str, arrays: list[pa.Array]) -> Instants | None:
    if not arrays:
        return None
    notation = choose_notation(column, arrays)
    return np.concatenate([read_instants(array, notation) for array in arrays])


def _with_dates(history: History, names: ColumnNames) -> tuple[History, list[Finding]]:
    """The customers without registration dates that stand for none, and who has no date."""
    dates = history.registered_at
    if dates is None:
        return history, []
    unreadable, placeholders = np.isnat(dates), without_date(dates)
    findings = [
        Finding(
            "kept",
            code,
            str(names.registered_at),
            int(rows.sum()),
            says,
            "Kept to learn from; they are in no cohort.",
            tuple(f"id {name}" for name in history.ids[rows][:EXAMPLES]),
        )
        for code, rows, says in (
            (
                "no-registration-date",
                unreadable,
                "no readable registration date; expected a date, such as 2026-11-01",
            ),
            ("placeholder-registration", placeholders, f"registered at {PLACEHOLDER}"),
        )
        if rows.any()
    ]
    dates = np.where(placeholders, np.datetime64("NaT", "us"), dates)
    return replace(history, registered_at=dates), findings


def _none(used: History) -> list[Finding]:
    if len(used):
        return []
    says = f"none of {used.rows_read:,} rows can be used"
    return [Finding("fatal", "no-rows", "all columns", 0, says, "Correct the table.")]


def _too_few(used: History) -> list[Finding]:
    rows, read = len(used), used.rows_read
    if rows < MIN_ROWS:
        says = f"{rows:,} of {read:,} rows can be used"
        action = f"Training needs at least {MIN_ROWS}; give a longer history."
        return [Finding("fatal", "too-few-rows", "all columns", rows, says, action)]
    if rows < read * (1 - _MAX_SHARE_LEFT_OUT):
        says = f"only {rows:,} of {read:,} rows can be used"
        action = "Correct the table, or give the right one with --data and --table."
        return [Finding("fatal", "mostly-unusable", "all columns", read - rows, says, action)]
    return []


def _whole_table(history: History, names: ColumnNames, *, to_train: bool) -> Iterable[Finding]:
    """Findings that need all usable rows at once."""
    used = len(history)
    outcome = str(names.outcome)
    if to_train and (np.ptp(history.outcome) == 0 or not history.increment.any()):
        yield Finding(
            "fatal",
            "constant-outcome",
            outcome,
            used,
            "every customer has the same outcome"
            if np.ptp(history.outcome) == 0
            else "nobody spent anything after the observation window",
            "There is nothing to learn; give customers whose horizon has passed.",
        )
    for feature, name in zip(FEATURES, names.features, strict=True):
        values = getattr(history.activity, feature)
        if np.ptp(values) == 0:
            yield Finding(
                "kept",
                "constant",
                name,
                used,
                f"every value is {values[0]:g}, so it tells customers not apart",
                "The model learns from the other columns.",
            )
    below = history.outcome < history.activity.monetary
    if below.any():
        yield Finding(
            "kept",
            "outcome-below-spend",
            outcome,
            int(below.sum()),
            "less money by the horizon than in the observation window, as after a refund",
            "Kept as they are; the spend still to come counts as 0.",
            tuple(
                f"id {history.ids[row]}: {history.outcome[row]:g} after "
                f"{history.activity.monetary[row]:g}"
                for row in np.flatnonzero(below)[:EXAMPLES]
            ),
        )


def _stop_where_fatal(name: str, findings: list[Finding]) -> None:
    fatal = [finding for finding in findings if finding.severity == "fatal"]
    if fatal:
        causes = [finding for finding in findings if finding.severity == "left out"]
        raise DataError(
            f"'{name}' cannot be used. " + " ".join(str(finding) for finding in fatal + causes)
        )
