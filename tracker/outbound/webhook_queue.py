"""Events on their way to webhooks: each endpoint by a thread of its own, so that a dead one delays no other.

Signed as Standard Webhooks says: ``v1`` is the base64 of HMAC-SHA256 over ``id.timestamp.body``, with the bytes that are sent.
"""

import hashlib
import hmac
import time
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import httpx
from sqlmodel import Session, col, func, select

from tracker.models import User, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookEvent
from tracker.notifications.notify import notify
from tracker.notifications.webhooks import secrets_of
from tracker.outbound.account_pool import WaitingAccount
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.lease import is_free
from tracker.runtime.localized_text import LocalizedText
from tracker.runtime.values import whole_number

ANSWER_SECONDS = 20.0
"""For a whole answer, however slowly it drips."""
MOST_BYTES = 64 * 1024
"""That much of an answer is read; what it says does not matter."""
GIVE_UP_AFTER = timedelta(days=3)
MOST_PAUSE = timedelta(days=1)
BACK_OFF = tuple(timedelta(seconds=s) for s in (5, 60, 300, 1800, 7200, 18000, 36000, 50400, 72000))
AT_ONCE = 50
"""Events of one endpoint in one turn."""
LEASE = "webhook"


@dataclass(frozen=True)
class EndpointAnswer:
    """What an endpoint said: its status, or what went wrong; and how long it wants to be left alone."""

    status: int | None
    problem: str = ""
    retry_after: timedelta | None = None
    milliseconds: int = 0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def endpoints_due(session: Session, moment: datetime) -> Sequence[WaitingAccount]:
    """The endpoints that have something due and that nobody serves."""
    due = (
        select(
            WebhookDelivery.endpoint_id,
            func.min(WebhookDelivery.due_at),
            WebhookEndpoint.url,
            WebhookEndpoint.failing_since,
        )
        .join(WebhookEndpoint, col(WebhookEndpoint.id) == col(WebhookDelivery.endpoint_id))
        .where(col(WebhookDelivery.due_at) <= moment, col(WebhookEndpoint.active))
        .where(is_free(LEASE, col(WebhookDelivery.endpoint_id), moment))
        .group_by(col(WebhookDelivery.endpoint_id), col(WebhookEndpoint.url), col(WebhookEndpoint.failing_since))
    )
    # Each counts as a person of its own: many endpoints of one person may be served at once.
    return [
        WaitingAccount(endpoint, endpoint, f"{endpoint} {urlsplit(url).netloc}", failing is not None, since or moment)
        for endpoint, since, url, failing in session.exec(due)
    ]


def next_due(session: Session) -> datetime | None:
    due = select(func.min(WebhookDelivery.due_at)).where(col(WebhookDelivery.due_at).is_not(None))
    return session.exec(due).one()


def deliver_to_endpoint(context: AppContext, endpoint_id: int | None, shutdown: Shutdown) -> int:
    """Sends what is due to one endpoint, the oldest first. Returns how many attempts were made."""
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, endpoint_id)
    if lease is None:
        return 0
    done = 0
    try:
        while done < AT_ONCE and not shutdown.is_requested and _deliver_next(context, endpoint_id or 0):
            done += 1
    finally:
        with context.database.session_scope() as session:
            context.leases.release(session, lease)
    return done


def _deliver_next(context: AppContext, endpoint_id: int) -> bool:
    """One attempt; False when nothing is due, or the endpoint is gone or off."""
    with context.database.reading() as session:
        due = (col(WebhookDelivery.endpoint_id) == endpoint_id, col(WebhookDelivery.due_at) <= now())
        query = select(WebhookDelivery).where(*due).order_by(col(WebhookDelivery.due_at), col(WebhookDelivery.id))
        delivery = session.exec(query.limit(1)).first()
        endpoint = session.get(WebhookEndpoint, endpoint_id)
        if delivery is None or endpoint is None or not endpoint.active:
            return False
        event = session.get_one(WebhookEvent, delivery.event_id)
    answer = post_event(context, endpoint, event)
    with context.database.session_scope() as session:
        _note(session, delivery.id, endpoint_id, answer)
    return True


def post_event(context: AppContext, endpoint: WebhookEndpoint, event: WebhookEvent) -> EndpointAnswer:
    """Sends the event once."""
    body = event.body.encode()
    return post(context, endpoint.url, body, signed_headers(secrets_of(context, endpoint), event, body))


def post(context: AppContext, url: str, body: bytes, headers: Mapping[str, str]) -> EndpointAnswer:
    """One try. Follows no redirect, and connects to no private network whatever the name leads to now."""
    started = time.monotonic()
    try:
        response = context.web_request(
            "POST", url, content=body, headers=headers, seconds=ANSWER_SECONDS, most_bytes=MOST_BYTES, is_cut=True
        )
        answer = EndpointAnswer(response.status_code, retry_after=_retry_after(response.headers.get("retry-after", "")))
    except httpx.TimeoutException:
        answer = EndpointAnswer(None, "timeout")
    except (OSError, httpx.HTTPError, UnicodeError, ValueError) as error:
        answer = EndpointAnswer(None, f"{type(error).__name__}: {error}"[:300])
    return EndpointAnswer(answer.status, answer.problem, answer.retry_after, int(1000 * (time.monotonic() - started)))


def signed_headers(secrets: Sequence[bytes], event: WebhookEvent, body: bytes) -> dict[str, str]:
    """One signature for each secret, the newest first."""
    moment = int(now().timestamp())
    content = f"{event.public_id}.{moment}.".encode() + body
    signatures = [b64encode(hmac.digest(secret, content, hashlib.sha256)).decode() for secret in secrets]
    return {
        "content-type": "application/json",
        "user-agent": "Inkling-Webhooks/1",
        "webhook-id": event.public_id,
        "webhook-timestamp": str(moment),
        "webhook-signature": " ".join(f"v1,{signature}" for signature in signatures),
    }


def _retry_after(words: str) -> timedelta | None:
    """RFC 9110 section 10.2.3: seconds or a date; None for nonsense. A day at most."""
    seconds = whole_number(words, 10**18)
    if seconds is not None:
        pause = timedelta(seconds=min(seconds, 10**9))
    else:
        try:
            at = parsedate_to_datetime(words)
        except (ValueError, TypeError, IndexError):
            return None
        pause = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now()
    return min(max(pause, timedelta()), MOST_PAUSE)


def _note(session: Session, delivery_id: int, endpoint_id: int, answer: EndpointAnswer) -> None:
    """What became of one attempt: delivered, again later, given up; and an endpoint that is gone, or has failed for three days, is
    switched off and its person told."""
    endpoint = session.get(WebhookEndpoint, endpoint_id, with_for_update=True)
    delivery = session.get(WebhookDelivery, delivery_id, with_for_update=True)
    if endpoint is None or delivery is None:
        return
    moment = now()
    session.add(
        WebhookAttempt(
            delivery_id=delivery_id,
            at=moment,
            status=answer.status,
            problem=answer.problem,
            milliseconds=answer.milliseconds,
        )
    )
    delivery.tries += 1
    delivery.first_try_at = delivery.first_try_at or moment
    session.add_all([delivery, endpoint])
    if answer.is_success:
        delivery.delivered_at, delivery.due_at, endpoint.failing_since = moment, None, None
        return
    endpoint.failing_since = endpoint.failing_since or moment
    pause = max(BACK_OFF[min(delivery.tries, len(BACK_OFF)) - 1], answer.retry_after or timedelta())
    delivery.due_at = moment + pause if moment - delivery.first_try_at < GIVE_UP_AFTER else None
    if answer.status == 410:
        _switch_off(session, endpoint, LocalizedText("%(url)s says that it is gone (410).", url=endpoint.url[:200]))
    elif moment - endpoint.failing_since >= GIVE_UP_AFTER:
        _switch_off(
            session, endpoint, LocalizedText("%(url)s has not answered for three days.", url=endpoint.url[:200])
        )


def _switch_off(session: Session, endpoint: WebhookEndpoint, reason: LocalizedText) -> None:
    endpoint.active, endpoint.problem = False, reason
    text = LocalizedText("A webhook was switched off. %(reason)s", reason=reason)
    owner = session.get(User, endpoint.user_id)
    if owner is not None:
        notify(session, endpoint.user_id, f"webhook:{endpoint.id}", "problem", now(), detail=text)
