"""Webhooks out, by Standard Webhooks: endpoints made and changed, and events written with what they tell of.

Whoever changes something calls :func:`emit` in the same transaction; nothing is sent for what is rolled back.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from secrets import token_bytes, token_urlsafe
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import Field
from sqlalchemy import select as columns
from sqlmodel import Session, col, select, update

from tracker.mail.fields import ChangeModel, SingleLine
from tracker.models import User, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.runtime.networks import AddressRefused

Kind = Literal[
    "message.sent", "message.opened", "message.clicked", "message.replied", "message.bounced", "verdict.corrected",
    "letter.received", "enquiry.created", "customer.created", "customer.assigned", "consent.changed",
]  # fmt: skip
TEST_KIND = "webhook.test"
OVERLAP = timedelta(hours=24)
"""So long after a new secret was made the one before is signed with, too."""
MOST_ENDPOINTS = 20
_PREFIX = "whsec_"


class EndpointChange(ChangeModel):
    """What to change of an endpoint; what is left out stays."""

    url: Annotated[SingleLine, Field(min_length=1, max_length=2000)] = ""
    kinds: Annotated[list[Kind], Field(min_length=1)] = []
    active: bool = True


class NewEndpoint(EndpointChange):
    """Where to send events, and which."""

    url: Annotated[SingleLine, Field(min_length=1, max_length=2000)]
    kinds: Annotated[list[Kind], Field(min_length=1)]


def emit(session: Session, kind: Kind, data: Mapping[str, Any], user_id: int | None = None) -> None:
    """Tells the endpoints that want this kind: those of one person, or of everybody (None) for what belongs to the workspace."""
    wanted = [endpoint for endpoint in _endpoints(session) if kind in endpoint[2] and user_id in (None, endpoint[1])]
    if wanted:
        event = _write(session, kind, data)
        session.add_all(WebhookDelivery(endpoint_id=endpoint, event_id=event.id) for endpoint, _, _ in wanted)


def is_heard(session: Session, kind: Kind) -> bool:
    """Whether any endpoint wants this kind: nothing needs to be read for nobody."""
    return any(kind in kinds for _, _, kinds in _endpoints(session))


_ENDPOINTS = (
    columns(col(WebhookEndpoint.id), col(WebhookEndpoint.user_id), col(WebhookEndpoint.kinds))
    .join(User, col(User.id) == col(WebhookEndpoint.user_id))
    .where(col(WebhookEndpoint.active), col(User.active))
)


ENDPOINTS = "webhook_endpoints"


def _endpoints(session: Session) -> list[tuple[int, int, frozenset[str]]]:
    """The endpoints that are on: number, person, kinds. Read once in a session: nearly always there are none."""
    known: list[tuple[int, int, frozenset[str]]] | None = session.info.get(ENDPOINTS)
    if known is None:
        known = session.info[ENDPOINTS] = read_endpoints(session)
    return known


def read_endpoints(session: Session, _key: None = None) -> list[tuple[int, int, frozenset[str]]]:
    rows = session.connection().execute(_ENDPOINTS).all()
    return [(id_, user, frozenset(kinds)) for id_, user, kinds in rows]


def _write(session: Session, kind: str, data: Mapping[str, Any]) -> WebhookEvent:
    moment = now()
    body = {"type": kind, "timestamp": moment.isoformat().replace("+00:00", "Z"), "data": _plain(data)}
    event = WebhookEvent(
        public_id=f"msg_{token_urlsafe(18)}", kind=kind, at=moment, body=json.dumps(body, ensure_ascii=False)
    )
    session.add(event)
    session.flush()
    return event


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat().replace("+00:00", "Z") if isinstance(value, datetime) else value
        for name, value in data.items()
    }


def create_endpoint(session: Session, context: AppContext, user: User, new: NewEndpoint) -> tuple[WebhookEndpoint, str]:
    """The endpoint and its secret, which is shown this once. Raises :class:`ActionError`."""
    check_url(context, new.url)
    if len(session.exec(select(WebhookEndpoint.id).where(WebhookEndpoint.user_id == user.id)).all()) >= MOST_ENDPOINTS:
        text = LocalizedText("You have %(most)s webhooks, and that is the limit.", most=MOST_ENDPOINTS)
        raise ActionError("conflict", text, detail_code="limit")
    endpoint = WebhookEndpoint(user_id=user.id, url=new.url, kinds=list(dict.fromkeys(new.kinds)), secret=b"")
    session.add(endpoint)
    session.flush()
    return endpoint, _new_secret(session, context, endpoint)


def change_endpoint(session: Session, context: AppContext, endpoint: WebhookEndpoint, change: EndpointChange) -> None:
    """Switched on again, it begins anew. Raises :class:`ActionError`."""
    fields_set = change.model_fields_set
    if "url" in fields_set:
        check_url(context, change.url)
        endpoint.url = change.url
    if "kinds" in fields_set:
        endpoint.kinds = list(dict.fromkeys(change.kinds))
    if "active" in fields_set:
        if change.active and not endpoint.active:
            endpoint.problem, endpoint.failing_since = "", None
        endpoint.active = change.active
    session.add(endpoint)


def rotate_secret(session: Session, context: AppContext, endpoint: WebhookEndpoint) -> str:
    """A new secret; until :data:`OVERLAP` is over what is sent is signed with both."""
    endpoint.secret_before, endpoint.secret_before_until = endpoint.secret, now() + OVERLAP
    return _new_secret(session, context, endpoint)


def _new_secret(session: Session, context: AppContext, endpoint: WebhookEndpoint) -> str:
    plain = token_bytes(32)
    endpoint.secret = context.keyring.encrypt(plain, record_of(endpoint))
    session.add(endpoint)
    return _PREFIX + b64encode(plain).decode()


def secrets_of(context: AppContext, endpoint: WebhookEndpoint) -> list[bytes]:
    """What to sign with now, the newest first."""
    sealed = [endpoint.secret]
    if endpoint.secret_before is not None and (endpoint.secret_before_until or now()) > now():
        sealed.append(endpoint.secret_before)
    return [context.keyring.decrypt(secret, record_of(endpoint)) for secret in sealed]


def record_of(endpoint: WebhookEndpoint) -> str:
    return f"webhook:{endpoint.public_id}"


def check_url(context: AppContext, url: str) -> None:
    """Raises :class:`ActionError` for what is no address of the web, or leads into a private network."""
    try:
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        parts, port = urlsplit(""), 0
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ActionError("invalid", LocalizedText("This is not an address like https://example.com/hook."), "url")
    try:
        context.resolved(parts.hostname, port)
    except AddressRefused:
        text = LocalizedText("%(host)s lies in a private network, where nothing is sent to.", host=parts.hostname)
        raise ActionError("invalid", text, "url", detail_code="private_host") from None
    except (OSError, UnicodeError):
        text = LocalizedText("%(host)s was not found. Check the address.", host=parts.hostname)
        raise ActionError("invalid", text, "url", detail_code="unknown_host") from None


def send_test(session: Session, endpoint: WebhookEndpoint) -> WebhookEvent:
    """An event that tells of nothing, for this endpoint alone."""
    event = _write(session, TEST_KIND, {"endpoint": endpoint.public_id})
    session.add(WebhookDelivery(endpoint_id=endpoint.id, event_id=event.id))
    return event


def replay(
    session: Session, endpoint: WebhookEndpoint, events: Sequence[str] = (), since: datetime | None = None
) -> int:
    """Sends events again, with the same id and body: those named, or all since a time. Returns how many."""
    chosen = select(WebhookEvent.id)
    chosen = (
        chosen.where(col(WebhookEvent.public_id).in_(events))
        if events
        else chosen.where(col(WebhookEvent.at) >= (since or now()))
    )
    again = update(WebhookDelivery).where(
        col(WebhookDelivery.endpoint_id) == endpoint.id, col(WebhookDelivery.event_id).in_(chosen)
    )
    return session.exec(again.values(due_at=now(), tries=0, first_try_at=None, delivered_at=None)).rowcount
