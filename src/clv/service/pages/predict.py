"""The Predict page: a form and, on the same page, its answer; it needs no scripts."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from fastapi import Request
from fastapi.responses import Response

from clv.errors import ClvError
from clv.schema import CONTRADICTIONS
from clv.service.explain import Explanation, explain
from clv.service.pages.forms import form_fields, typed_amount, typed_whole
from clv.service.pages.rendering import page
from clv.service.predicting import Answered, predict_passenger
from clv.service.problems import problem
from clv.service.schemas import WINDOW, TryOutIn
from clv.service.worker import worker_of

__all__ = ["answer_form", "show_form"]

_RECENCY, _FREQUENCY, _MONETARY = WINDOW.features
_EXAMPLE = {"recency_7": "5", "frequency_7": "2", "monetary_7": "30"}
_SHOWN = 40  # characters of what was typed that are shown again


@dataclass(frozen=True, slots=True)
class _Field:
    """How a field is read, its range, and what to enter."""

    read: Callable[[str], float]
    low: float
    high: float
    advice: str
    required: bool = True


_FIELDS = {
    "recency_7": _Field(typed_whole, _RECENCY.low, _RECENCY.high, f"Enter {_RECENCY.expected}."),
    "frequency_7": _Field(
        typed_whole, _FREQUENCY.low, _FREQUENCY.high, f"Enter {_FREQUENCY.expected}."
    ),
    "monetary_7": _Field(
        typed_amount, _MONETARY.low, _MONETARY.high,
        f"Enter an amount from 0 to {_MONETARY.high:,.0f}, as 8.50 or 8,50.",
    ),
    "id": _Field(
        typed_whole, -(2**63), 2**63 - 1, "Enter a whole number, or leave this empty.",
        required=False,
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Shown:
    """What the page shows as the answer."""

    asked: TryOutIn
    answered: Answered
    explanation: Explanation


async def show_form(request: Request) -> Response:
    """The form, empty."""
    return _page(request, {})


async def answer_form(request: Request) -> Response:
    """Predict, track as tried out on the page, and show the form with the answer beside it."""
    fields = await form_fields(request)
    if "example" in fields:
        fields = _EXAMPLE
    typed = {name: fields.get(name, "").strip() for name in _FIELDS}
    values, errors = _read(typed)
    if errors:
        return _page(request, typed, errors=errors, status=HTTPStatus.UNPROCESSABLE_ENTITY)
    asked = TryOutIn(**values)
    worker = worker_of(request)
    try:
        answered = await predict_passenger(worker, asked, "page")
        model = worker.models.current().champion
    except ClvError as error:
        refusal = problem(error)
        said = json.loads(bytes(refusal.body))["detail"]
        answer = _page(request, typed, failed=said, status=HTTPStatus(refusal.status_code))
        if "retry-after" in refusal.headers:
            answer.headers["retry-after"] = refusal.headers["retry-after"]
        return answer
    explanation = explain(model, asked.recency_7, asked.frequency_7, asked.monetary_7)
    return _page(request, typed, shown=Shown(asked, answered, explanation))


def _page(
    request: Request, typed: Mapping[str, str], *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> Response:
    nothing: dict[str, Any] = {"errors": {}, "failed": "", "shown": None}
    shown = {name: typed.get(name, "")[:_SHOWN] for name in _FIELDS}
    return page(
        request,
        "predict.html",
        status=status,
        days=WINDOW.observation_days,
        horizon=WINDOW.horizon_days,
        typed=shown,
        **(nothing | values),
    )


def _read(typed: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """Values by field, and what is wrong by field; under `form` if the fields contradict."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for name, field in _FIELDS.items():
        try:
            value = _value(field, typed[name])
        except ValueError as error:
            errors[name] = str(error)
        else:
            if value is not None:
                values[name] = value
    if not errors:
        activity = values["recency_7"], values["frequency_7"], values["monetary_7"]
        found = [one.says for one in CONTRADICTIONS if one.holds(*activity)]
        if found:
            errors["form"] = f"{found[0][0].upper()}{found[0][1:]}. Correct one of them."
    return values, errors


def _value(field: _Field, text: str) -> float | None:
    if not text:
        if field.required:
            raise ValueError(field.advice)
        return None
    if len(text) > _SHOWN:
        raise ValueError(f"This is longer than {_SHOWN} characters. {field.advice}")
    try:
        value = field.read(text)
    except ValueError as error:
        raise ValueError(f"{error} {field.advice}") from None
    if value < field.low:
        raise ValueError(f"{text} is less than {field.low:g}. {field.advice}")
    if value > field.high:
        raise ValueError(f"{text} is more than {field.high:,.0f}. {field.advice}")
    return value
