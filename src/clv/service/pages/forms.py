"""Forms as browsers send them, and numbers as people type them."""

import re
from http import HTTPStatus
from urllib.parse import parse_qs

from starlette.requests import ClientDisconnect, Request

from clv.service.problems import RefusedError

__all__ = ["form_fields", "typed_amount", "typed_whole"]

_FORM = "application/x-www-form-urlencoded"
_MOST_BYTES = 4096
_MOST_FIELDS = 8

_SPACES = re.compile(r"[\s\u00a0\u202f']+")
_CURRENCY = re.compile(r"^(?:[A-Za-z]{3}|[$€£¥₹])|(?:[A-Za-z]{3}|[$€£¥₹])$")
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}")
_DECIMAL = re.compile(r"[+-]?[0-9]{1,15}(?:[.,][0-9]{1,15})?")
_GROUPED = re.compile(r"[+-]?[0-9]{1,3}(?:(?:,[0-9]{3})+(?:\.[0-9]*)?|(?:\.[0-9]{3})+(?:,[0-9]*)?)")
_EITHER = re.compile(r"[+-]?[1-9][0-9]{0,2}[.,][0-9]{3}")


async def form_fields(request: Request) -> dict[str, str]:
    """The fields of a short form, each once.

    Raises
    ------
    RefusedError
        415 if it is no form, 413 if it is too large, 408 if the client left before it was whole.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM:
        raise RefusedError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"Expected a form, {_FORM}.")
    content = b""
    try:
        async for chunk in request.stream():
            content += chunk
            if len(content) > _MOST_BYTES:
                raise RefusedError(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    f"The form is larger than {_MOST_BYTES:,} bytes.",
                    headers={"Connection": "close"},
                )
    except ClientDisconnect:
        raise RefusedError(
            HTTPStatus.REQUEST_TIMEOUT, "The client disconnected before its request was complete."
        ) from None
    try:
        fields = parse_qs(content.decode("latin-1"), max_num_fields=_MOST_FIELDS)
    except ValueError:
        return {}
    return {name: values[0] for name, values in fields.items()}


def typed_whole(text: str) -> int:
    """A whole number as somebody typed it: 5, 1 000.

    Raises
    ------
    ValueError
        In words for whoever typed it.
    """
    plain = _SPACES.sub("", text)
    if not _WHOLE.fullmatch(plain):
        raise ValueError(f"“{text}” is not a whole number.")
    return int(plain)


def typed_amount(text: str) -> float:
    """An amount as somebody typed it: 8.5, 8,50, 1 234,50, €1,234.50.

    Raises
    ------
    ValueError
        In words for whoever typed it, also if the amount can be read in two ways.
    """
    plain = _CURRENCY.sub("", _SPACES.sub("", text))
    if _EITHER.fullmatch(plain):
        thousand, unit = re.sub("[.,]", "", plain), plain.replace(",", ".")
        raise ValueError(f"“{text}” can be read as {thousand} or as {unit}.")
    if _DECIMAL.fullmatch(plain):
        return float(plain.replace(",", "."))
    if _GROUPED.fullmatch(plain):
        # The first mark separates thousands; the other one, if any, the decimals.
        thousands = next(mark for mark in plain if mark in ".,")
        return float(plain.replace(thousands, "").replace(",", "."))
    raise ValueError(f"“{text}” is not an amount.")
