"""Segments judged beside a service that predicts: read, predict, evaluate, off the event loop."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np
from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError

from clv.bundle import Predictor
from clv.campaign.offer import Campaign
from clv.campaign.segment import Segment
from clv.campaign.verdict import Evaluation, evaluate
from clv.data.findings import without_duplicates
from clv.data.kinds import TEXT_FILES, WORKBOOKS
from clv.errors import DataError, UsageError
from clv.schema import DEFAULT_TABLE, Activity
from clv.service.body import parsed
from clv.service.messages import located
from clv.service.problems import RefusedError
from clv.service.schemas import Passenger, SegmentIn, UploadIn
from clv.service.worker import worker_of

# What reads lists takes as long to import as half of the service, and many services never read one.
if TYPE_CHECKING:
    from clv.data.customers import Customers

__all__ = [
    "ACCEPTED",
    "Judged",
    "as_query",
    "from_query",
    "judge",
    "judge_upload",
    "suffix_of",
    "unusable",
]

_Model = TypeVar("_Model", bound=BaseModel)

#: How the names of uploaded lists may end; what ends otherwise is read as CSV.
ACCEPTED = (*TEXT_FILES, *WORKBOOKS)
# For one list at a time, beside a service that predicts.
_MEMORY = "1GB"


@dataclass(frozen=True, slots=True)
class Judged:
    """A segment with its verdict, and who is in it."""

    evaluation: Evaluation
    segment: Segment
    customers: "Customers"
    model_version: str


class _Work(NamedTuple):
    read: Callable[[Predictor], "Customers"]
    campaign: Campaign


async def judge(request: Request) -> Judged:
    """Judge what a request holds: a JSON document, or a list in CSV with its terms in the query.

    Raises
    ------
    NotTrainedError
        Where there is no model.
    RefusedError, RequestValidationError
        Where it cannot be read or used.
    """
    if request.headers.get("content-type", "").startswith("text/csv"):
        return await judge_upload(request, request.query_params.multi_items())
    asked = await parsed(SegmentIn, request)
    work = _Work(lambda _: _customers_of(asked.passengers), asked.campaign())
    async with worker_of(request).uploads.turn(request):
        return await _judged(request, work)


async def judge_upload(request: Request, query: Sequence[tuple[str, str]]) -> Judged:
    """Judge a list in CSV, which is kept in a temporary file until it is read.

    Parameters
    ----------
    request : Request
        Its body is the list.
    query : sequence of pairs of str
        The terms of the campaign; `column` says, as often as needed, what a column is called.
    """
    from clv.data.numbers import NumberFormat  # noqa: PLC0415 - see the top

    terms = from_query(UploadIn, [pair for pair in query if pair[0] != "column"])
    renamed = _renamed([value for name, value in query if name == "column"])
    try:
        numbers = NumberFormat(terms.decimal, terms.thousands)
    except UsageError as error:
        raise _unusable(as_query(str(error))) from None
    async with worker_of(request).uploads.kept(request, suffix_of(terms.name)) as path:

        def read(predictor: Predictor) -> "Customers":
            from clv.data.customers import id_names, read_customers  # noqa: PLC0415
            from clv.data.sources import open_source  # noqa: PLC0415

            with open_source(
                path,
                terms.sheet or DEFAULT_TABLE,
                ids=id_names(renamed),
                memory_limit=_MEMORY,
                numbers=numbers,
            ) as source:
                return read_customers(
                    source, predictor.window, renamed=renamed, on_invalid=terms.on_invalid
                )

        try:
            return await _judged(request, _Work(read, terms.campaign()))
        except DataError as error:
            raise unusable(error, path) from None


def from_query(model: type[_Model], query: Sequence[tuple[str, str]]) -> _Model:
    """What the terms of a query say.

    Raises
    ------
    RequestValidationError
        Where they cannot be read.
    """
    try:
        return model.model_validate_strings(dict(query))
    except ValidationError as error:
        raise RequestValidationError(located(error, "query")) from None


def suffix_of(name: str) -> str:
    """The ending for a list's file: nothing else of the name that a client gives is used."""
    return next((suffix for suffix in ACCEPTED if name.lower().endswith(suffix)), ".csv")


def _renamed(columns: Sequence[str]) -> Mapping[str, str]:
    pairs = [column.partition("=") for column in columns]
    for name, _, column in pairs:
        if not name or not column:
            raise _unusable(
                f"column={name!r}: expected a name that is needed, '=' and the column that has it, "
                "as in recency_7=last_day."
            )
    return {name: column for name, _, column in pairs}


async def _judged(request: Request, work: _Work) -> Judged:
    """In a thread: predictions of single passengers must not wait for lists."""
    worker = worker_of(request)
    predictor = worker.models.current().champion

    def do() -> Judged:
        customers = work.read(predictor)
        predictions = predictor.predict(customers.activity, level=work.campaign.level)
        return Judged(
            evaluate(predictions, predictor, work.campaign),
            Segment(predictions, predictor.calibration),
            customers,
            predictor.version,
        )

    return await worker.uploads.run(do)


def _customers_of(passengers: Sequence[Passenger]) -> "Customers":
    """Passengers of a document, each once."""
    from clv.data.customers import Customers  # noqa: PLC0415

    ids = np.array([str(one.id) for one in passengers], dtype=object)
    rows = np.array(
        [(one.recency_7, one.frequency_7, one.monetary_7) for one in passengers], dtype=np.float64
    )
    keep, findings = without_duplicates(ids, rows, "id")
    if any(finding.code != "duplicate" for finding in findings):
        raise _unusable(" ".join(map(str, findings)))
    return Customers(ids[keep], Activity(*rows[keep].T.copy()), len(ids), tuple(findings))


def unusable(error: DataError, path: Path) -> RefusedError:
    """What is wrong with a list, without the folder it was kept in."""
    return _unusable(as_query(str(error), path))


def as_query(says: str, path: Path | None = None) -> str:
    """A message of the command line for a request: options as terms of a query, no folders."""
    says = says.replace(f"{path.parent}/", "") if path else says
    says = says.replace("--table", "`sheet`")
    return re.sub(r"--(decimal|thousands|column)\b", r"`\1`", says)


def _unusable(detail: str) -> RefusedError:
    return RefusedError(HTTPStatus.UNPROCESSABLE_ENTITY, detail)
