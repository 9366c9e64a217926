"""What a check is: a question with a stable code, and its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from clv.training.report.evidence import Evidence

__all__ = ["Answer", "Check", "Question", "not_applicable", "verdict"]

Status = Literal["passed", "issue", "not applicable"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What was found, in one sentence with its figures."""

    status: Status
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """A question that was asked of a training. The code never changes its meaning."""

    code: str
    title: str
    status: Status
    found: str
    advice: str


@dataclass(frozen=True, slots=True)
class Question:
    """A check that can be asked.

    Attributes
    ----------
    code, title : str
    issue : str
        When the answer is an issue.
    advice : str
        What to do then.
    ask : function of Evidence
    """

    code: str
    title: str
    issue: str
    advice: str
    ask: Callable[[Evidence], Answer]

    def check(self, evidence: Evidence) -> Check:
        """Ask it of a training."""
        answer = self.ask(evidence)
        return Check(self.code, self.title, answer.status, answer.found, self.advice)


def verdict(found: str, *, issue: bool) -> Answer:
    """An issue, or passed."""
    return Answer("issue" if issue else "passed", found)


def not_applicable(why: str) -> Answer:
    """The question cannot be asked of this training."""
    return Answer("not applicable", why)
