"""The routes of the pages. They are for people, so the OpenAPI document does not list them."""

from http import HTTPStatus

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from clv.errors import ClvError
from clv.service.judging import ACCEPTED
from clv.service.pages.campaign import chosen_passengers, verdict
from clv.service.pages.model import model_view, report_page
from clv.service.pages.predict import answer_form, show_form
from clv.service.pages.preview import preview
from clv.service.pages.rendering import may, page
from clv.service.pages.signin import show_form as show_signin
from clv.service.pages.signin import sign_in, sign_out
from clv.service.pages.static import answer_static
from clv.service.schemas import WINDOW
from clv.service.worker import worker_of
from clv.tracking import Scope

__all__ = ["router"]

# The report of a training is one file with its scripts and styles in its text. So it is shown as
# if it came from nowhere (`sandbox`): whatever a model's file may hold, it can read no answer of
# this service, send none of its cookies and load nothing.
_REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; frame-ancestors 'none'; base-uri 'none'"
)

_WAY_BACK = '<body>\n<p class="back"><a href="/model">Back to Model</a></p>'

router = APIRouter(include_in_schema=False)


@router.get("/")
async def campaign(request: Request) -> Response:
    """A segment, and whether a campaign is worth it."""
    return page(
        request,
        "campaign.html",
        days=WINDOW.observation_days,
        accepted=ACCEPTED,
        most_bytes=worker_of(request).settings.max_upload_bytes,
    )


@router.get("/campaign")
async def former_campaign(request: Request) -> Response:
    """The address that Campaign had before it became the home page."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"/{query}", HTTPStatus.PERMANENT_REDIRECT)


@router.get("/model")
async def model(request: Request) -> Response:
    """The champion, whom it beat, and the other versions."""
    worker = worker_of(request)
    view = await model_view(worker)
    return page(request, "model.html", view=view, is_admin=may(request, Scope.ADMIN))


@router.get("/model/report")
async def report(request: Request) -> Response:
    """The whole report of the champion's training."""
    worker = worker_of(request)
    number = worker.models.versions().get("champion", "")
    try:
        content = await worker.ask_registry(report_page, worker.registry, number)
    except (ClvError, OSError):
        return page(
            request,
            "refused.html",
            status=HTTPStatus.NOT_FOUND,
            title="No report",
            detail="The training of the model that serves left no report that can be read.",
            way="/model",
            way_says="To the model",
        )
    headers = {"content-security-policy": _REPORT_POLICY}
    content = content.replace("<body>", _WAY_BACK, 1)
    return Response(content, media_type="text/html", headers=headers)


@router.get("/monitoring")
async def monitoring(request: Request) -> Response:
    """Predictions compared with outcomes."""
    return page(request, "monitoring.html")


@router.get("/reality")
async def former_monitoring(request: Request) -> Response:  # noqa: ARG001 - as the router calls it
    """The address that Monitoring had before."""
    return RedirectResponse("/monitoring", HTTPStatus.PERMANENT_REDIRECT)


@router.get("/activity")
async def activity(request: Request) -> Response:
    """The log of predictions."""
    return page(request, "activity.html")


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The OpenAPI document, to read and to try out."""
    return page(request, "docs.html")


@router.get("/redoc")
async def redoc() -> Response:
    """Another view of the document once stood here; one is enough."""
    return RedirectResponse("/docs", HTTPStatus.PERMANENT_REDIRECT)


@router.get("/static/{name}")
async def static(name: str, request: Request) -> Response:
    """What pages load."""
    return await answer_static(name, request)


router.add_api_route("/predict", show_form, methods=["GET"])
router.add_api_route("/predict", answer_form, methods=["POST"])
router.add_api_route("/campaign/preview", preview, methods=["POST"])
router.add_api_route("/campaign/judge", verdict, methods=["POST"])
router.add_api_route("/campaign/chosen", chosen_passengers, methods=["POST"])
router.add_api_route("/signin", show_signin, methods=["GET"])
router.add_api_route("/signin", sign_in, methods=["POST"])
router.add_api_route("/signout", sign_out, methods=["POST"])
