"""Templates to answers: what all pages have in common."""

from datetime import datetime
from functools import cache
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from clv.prose import day, prose
from clv.service.access import KEY, PAGES
from clv.service.pages.static import address
from clv.service.worker import worker_of
from clv.tracking import ApiKey, Scope

__all__ = ["may", "page", "part"]

#: Only what this service serves: no script or style in the text of a page, nothing from elsewhere.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "font-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_NAVIGATION = (
    ("/", "Campaign"),
    ("/predict", "Predict"),
    ("/model", "Model"),
    ("/monitoring", "Monitoring"),
    ("/activity", "Activity"),
)


def page(
    request: Request, template: str, *, status: HTTPStatus = HTTPStatus.OK, **values: Any
) -> HTMLResponse:
    """Fill a template that extends `base.html`."""
    worker = worker_of(request)
    path = request.url.path
    text = (
        _templates()
        .get_template(template)
        .render(
            path=path if path in PAGES else "",
            navigation=_NAVIGATION,
            signed_in=request.scope.get(KEY) is not None,
            model_version=worker.models.versions().get("champion"),
            currency=worker.settings.currency,
            release=version("clv"),
            **values,
        )
    )
    return HTMLResponse(text, status, headers={"content-security-policy": _POLICY})


def part(template: str, **values: Any) -> str:
    """Fill a template that a script puts into a page."""
    return _templates().get_template(template).render(**values)


def may(request: Request, scope: Scope) -> bool:
    """Whether who asks may do what takes this scope; without keys everybody may."""
    key: ApiKey | None = request.scope.get(KEY)
    return key is None or key.allows(scope)


@cache
def _templates() -> jinja2.Environment:
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("clv.service.pages", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.globals["static"] = address
    templates.filters["moment"] = _moment
    templates.filters["day"] = day
    templates.filters["figure"] = _figure
    templates.filters["prose"] = prose
    return templates


def _moment(at: datetime) -> str:
    return f"{at:%-d %b %Y, %H:%M} UTC"


def _figure(value: float | None, form: str) -> str:
    """A number, or a dash where it could not be computed."""
    return "–" if value is None or value != value else format(value, form)  # noqa: PLR0124 - NaN
