"""Methodology checks of a training: what a sceptical reader would ask, with stable codes."""

from clv.training.report.checks import data, model
from clv.training.report.checks.check import Check, Question
from clv.training.report.evidence import Evidence

__all__ = ["QUESTIONS", "Check", "Question", "check_training", "questions_table"]

QUESTIONS = tuple(sorted(model.QUESTIONS + data.QUESTIONS, key=lambda question: question.code))


def check_training(evidence: Evidence) -> tuple[Check, ...]:
    """Ask every question, in the order of the codes."""
    return tuple(question.check(evidence) for question in QUESTIONS)


def questions_table() -> str:
    """All questions as a Markdown table; the documentation holds it."""
    lines = [
        "| code | asks | an issue where | what to do |",
        "|---|---|---|---|",
        *(f"| {one.code} | {one.title} | {one.issue} | {one.advice} |" for one in QUESTIONS),
    ]
    return "\n".join(lines)
