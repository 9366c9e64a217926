"""A year in short: behaviour changes, the alarm is raised, a better model serves, and it holds."""

from functools import partial
from pathlib import Path

import pytest
from benchmarks.year import Plan, Year, play, trained

from clv.monitoring import Monitoring
from clv.registry import open_registry
from clv.settings import Settings
from clv.training import train
from support import quick_candidates

pytestmark = pytest.mark.acceptance

PLAN = Plan(weeks=24, passengers=5_000, changes_in=6)
#: Outcomes of those who are asked about in one week are known four weeks later.
FIRST_MATURE = 6 + 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("year")


@pytest.fixture(scope="module")
def year(home: Path) -> Year:
    learn = partial(train, among=quick_candidates())
    trained(home, PLAN, learn)
    return play(PLAN, home, learn)


def test_before_anything_changes_there_is_no_alarm(year: Year) -> None:
    assert [week.alarms for week in year.weeks[: PLAN.changes_in]] == [()] * 6


def test_the_change_is_flagged_within_three_weeks_of_its_first_outcomes(year: Year) -> None:
    first = year.first("bias")
    assert first is not None
    assert FIRST_MATURE <= first < FIRST_MATURE + 3


def test_a_model_that_learnt_since_is_promoted_and_its_promise_holds(
    year: Year, home: Path
) -> None:
    promoted = year.promoted()
    assert promoted is not None
    version = year.weeks[-1].champion
    assert version != "1"
    assert abs(year.bias(version, promoted + 1, PLAN.weeks)) < 0.02
    # Beside it: what the old version promised of those who behaved otherwise already.
    assert year.bias("1", 6, promoted) > 0.05
    assert "bias" not in year.weeks[-1].alarms
    reasons = {one.number: one.reason for one in open_registry(Settings(home=home)).versions()}
    assert reasons[version].startswith("retrained and better: ")


def test_every_week_without_a_promotion_says_why(year: Year) -> None:
    decided = [week.retraining for week in year.weeks if week.retraining]
    assert decided
    assert all(one.reason for one in decided)


def test_what_the_service_says_is_what_the_library_says(year: Year) -> None:
    assert set(year.last) == set(Monitoring.__dataclass_fields__)
    assert sum(one["quality"]["promised"] for one in year.last["versions"]) == 24 * 5_000
