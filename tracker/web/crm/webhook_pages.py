"""Webhooks in the settings: where events are sent to, and what became of each one."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import N_, _
from tracker.models import User, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.models.ownership import owned, owned_rows
from tracker.notifications.webhooks import (
    TEST_KIND,
    EndpointChange,
    NewEndpoint,
    change_endpoint,
    create_endpoint,
    replay,
    rotate_secret,
    send_test,
)
from tracker.web.http.actions import changing, perform_on
from tracker.web.http.forms import FormErrors, errors_of, parse, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/webhooks"
SHOWN_EVENTS = 50
KIND_LABELS: Mapping[str, str] = {
    "message.sent": N_("A message was sent"),
    "message.opened": N_("Somebody opened a message"),
    "message.clicked": N_("Somebody followed a link"),
    "message.replied": N_("A message was answered"),
    "message.bounced": N_("A message came back"),
    "verdict.corrected": N_("An open or click was judged again"),
    "letter.received": N_("A letter arrived"),
    "enquiry.created": N_("An enquiry arrived"),
    "customer.created": N_("A customer was added"),
    "customer.assigned": N_("A customer got another manager"),
    "consent.changed": N_("Somebody agreed or said no"),
    TEST_KIND: N_("A test"),
}


@dataclass
class EventLine:
    """One event for one endpoint, with the attempts to tell it, the newest first."""

    event: WebhookEvent
    delivery: WebhookDelivery
    attempts: list[WebhookAttempt] = field(default_factory=list)


@routes.page(BASE_PATH)
def webhooks(request: Request, user: User) -> Response:
    return _list_page(request, user)


@routes.action(BASE_PATH)
def add_webhook(request: Request, user: User, form: FormData) -> Response:
    """Makes a webhook and shows its secret on the very page that answers: nowhere else, never again."""
    context = context_of(request)
    with changing(
        request, lambda error: _list_page(request, user, text(form, "url", 2000), _kinds(form), errors_of(error), 422)
    ) as session:
        new = parse(NewEndpoint, {**form, "kinds": _kinds(form)})
        endpoint, secret = create_endpoint(session, context, user, new)
    return _endpoint_page(request, user, endpoint.public_id, secret=secret)


@routes.page(f"{BASE_PATH}/{{id}}")
def webhook(request: Request, user: User) -> Response:
    return _endpoint_page(request, user, request.path_params["id"])


@routes.action(f"{BASE_PATH}/{{id}}")
def save_webhook(request: Request, user: User, form: FormData) -> Response:
    """``act`` is save, on, off or remove."""
    context, id_, act = context_of(request), request.path_params["id"], text(form, "act")
    with changing(
        request, lambda error: _endpoint_page(request, user, id_, wrong=errors_of(error), status=422)
    ) as session:
        endpoint = owned(session, WebhookEndpoint, user, id_)
        if act == "remove":
            session.delete(endpoint)
            return redirect(BASE_PATH, _("The webhook is deleted. Nothing more is sent to it."))
        change_endpoint(session, context, endpoint, _change(form, act))
    return redirect(f"{BASE_PATH}/{id_}", _("Saved."))


def _change(form: FormData, act: str) -> EndpointChange:
    if act in ("on", "off"):
        return EndpointChange(active=act == "on")
    return parse(EndpointChange, {"url": text(form, "url", 2000), "kinds": _kinds(form)})


@routes.action(f"{BASE_PATH}/{{id}}/secret")
def new_secret(request: Request, user: User, _form: FormData) -> Response:
    context, id_ = context_of(request), request.path_params["id"]
    with context.database.session_scope() as session:
        secret = rotate_secret(session, context, owned(session, WebhookEndpoint, user, id_))
    return _endpoint_page(request, user, id_, secret=secret)


@routes.action(f"{BASE_PATH}/{{id}}/test")
def try_webhook(request: Request, user: User, _form: FormData) -> Response:
    sentence = _("A test is on its way. What came of it stands below in a moment.")
    return perform_on(request, user, WebhookEndpoint, f"{BASE_PATH}/{request.path_params['id']}", send_test, sentence)


@routes.action(f"{BASE_PATH}/{{id}}/replay")
def replay_event(request: Request, user: User, form: FormData) -> Response:
    id_ = request.path_params["id"]
    with context_of(request).database.session_scope() as session:
        count = replay(session, owned(session, WebhookEndpoint, user, id_), [text(form, "event", 40)])
    said = _("It is sent again, with the same id.") if count else _("This event is no longer there.")
    return redirect(f"{BASE_PATH}/{id_}", said, kind="done" if count else "problem")


def _kinds(form: FormData) -> list[str]:
    return [str(kind)[:40] for kind in form.getlist("kinds")]


def _labels() -> dict[str, str]:
    return {kind: _(label) for kind, label in KIND_LABELS.items()}


def _list_page(
    request: Request,
    user: User,
    url: str = "",
    kinds: list[str] | None = None,
    wrong: FormErrors | None = None,
    status: int = 200,
) -> Response:
    with context_of(request).database.reading() as session:
        endpoints = session.exec(owned_rows(WebhookEndpoint, user).order_by(col(WebhookEndpoint.id))).all()
    context = {"endpoints": endpoints, "url": url, "kinds": kinds or [], "labels": _labels(), "wrong": wrong or {}}
    return render(request, "crm/webhooks.html", context, status)


def _endpoint_page(
    request: Request, user: User, id_: str, *, secret: str = "", wrong: FormErrors | None = None, status: int = 200
) -> Response:
    with context_of(request).database.reading() as session:
        endpoint = owned(session, WebhookEndpoint, user, id_)
        context = {"endpoint": endpoint, "lines": _log(session, endpoint), "labels": _labels()}
    context |= {"secret": secret, "wrong": wrong or {}}
    return render(request, "crm/webhook.html", context, status)


def _log(session: Session, endpoint: WebhookEndpoint) -> list[EventLine]:
    """The newest events of this endpoint with all of their attempts; older ones are read by the API."""
    query = (
        select(WebhookEvent, WebhookDelivery)
        .join(WebhookDelivery, col(WebhookDelivery.event_id) == col(WebhookEvent.id))
        .where(WebhookDelivery.endpoint_id == endpoint.id)
        .order_by(col(WebhookDelivery.event_id).desc())
    )
    lines = {row[1].id: EventLine(*row) for row in session.exec(query.limit(SHOWN_EVENTS))}
    attempts = select(WebhookAttempt).where(col(WebhookAttempt.delivery_id).in_(list(lines)))
    for attempt in session.exec(attempts.order_by(col(WebhookAttempt.id).desc())):
        lines[attempt.delivery_id].attempts.append(attempt)
    return list(lines.values())
