"""News on its way to browsers, through the push service of each (RFC 8030).

What is said is written when it is sent, so that it is true then: what was read in the meantime, or belongs to somebody who has
left, is not sent at all. A row goes once the service has taken the message; a service that says that the browser is gone ends the
subscription.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from sqlmodel import Session, col, delete, func, select, update

from tracker.locale import use_locale
from tracker.models import Notification, PushDelivery, PushSubscription, User, UserSession
from tracker.notifications.bell_lines import Announcement, announcements, bell_lines
from tracker.notifications.push import browser_of, push_key
from tracker.notifications.push_encryption import MOST_BYTES, PushTarget, authorization, encrypt, new_key
from tracker.outbound.account_pool import WaitingAccount
from tracker.outbound.webhook_queue import BACK_OFF, EndpointAnswer, post
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.deadline import Shutdown
from tracker.runtime.lease import is_free

LEASE = "push"
KEEP = timedelta(days=1)
"""So long a service keeps a message for a browser that is off, and so long we try a service that does not answer."""
TOKEN_LIFE = timedelta(hours=12)
TEXT = 500
"""Characters of a sentence."""
_GONE = (404, 410)
_AGAIN = (408, 425, 429)
_URGENT = frozenset({"reply", "enquiry", "letter", "answered", "enquiry_due"})


def subscriptions_due(session: Session, moment: datetime) -> Sequence[WaitingAccount]:
    """The browsers that have something due and that nobody serves."""
    due = (
        select(PushDelivery.subscription_id, func.min(PushDelivery.due_at), PushSubscription.failing_since)
        .join(PushSubscription, col(PushSubscription.id) == col(PushDelivery.subscription_id))
        .where(col(PushDelivery.due_at) <= moment, is_free(LEASE, col(PushDelivery.subscription_id), moment))
        .group_by(col(PushDelivery.subscription_id), col(PushSubscription.failing_since))
    )
    return [
        WaitingAccount(id_, id_, f"browser {id_}", failing is not None, at) for id_, at, failing in session.exec(due)
    ]


def push_to_browser(context: AppContext, subscription_id: int | None, shutdown: Shutdown) -> int:
    """Sends what is due to one browser. Returns how many messages were tried."""
    with context.database.session_scope() as session:
        lease = context.leases.claim(session, LEASE, subscription_id)
    if lease is None:
        return 0
    try:
        return 0 if shutdown.is_requested else _push_due(context, subscription_id or 0, shutdown)
    finally:
        with context.database.session_scope() as session:
            context.leases.release(session, lease)


@dataclass(frozen=True)
class _Push:
    """One message, and the rows that are done with once it was taken."""

    announcement: Announcement
    rows: Sequence[int]


def _push_due(context: AppContext, subscription_id: int, shutdown: Shutdown) -> int:
    with context.database.session_scope() as session:
        browser, pushes = _write_pushes(session, context, subscription_id)
        key = push_key(session, context) if pushes else None
    done = 0
    for push in pushes:
        if browser is None or key is None or shutdown.is_requested:
            break
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(browser.endpoint))
        named = authorization(key, origin, _contact(context), int((now() + TOKEN_LIFE).timestamp()))
        headers = _headers(named, push.announcement)
        answer = post(context, browser.endpoint, _body(push.announcement, browser), headers)
        with context.database.session_scope() as session:
            _note(session, subscription_id, push.rows, answer)
        done += 1
        if not answer.is_success:
            break
    return done


def _write_pushes(session: Session, context: AppContext, subscription_id: int) -> tuple[PushTarget | None, list[_Push]]:
    """The browser, and what is due in words, the oldest first. Rows that nobody needs to hear of any more are gone."""
    subscription = session.get(PushSubscription, subscription_id)
    if subscription is None:
        return None, []
    is_due = (col(PushDelivery.subscription_id) == subscription_id, col(PushDelivery.due_at) <= now())
    rows = {
        line: id_ for id_, line in session.exec(select(PushDelivery.id, PushDelivery.notification_id).where(*is_due))
    }
    user, sign_in = session.get_one(User, subscription.user_id), session.get(UserSession, subscription.session_id)
    pushes: list[_Push] = []
    if user.active and sign_in is not None and sign_in.expires_at > now():
        unread = col(Notification.id).in_(rows), col(Notification.read_at).is_(None)
        lines = session.exec(select(Notification).where(*unread).order_by(col(Notification.at).desc())).all()
        own = {line.public_id: rows[line.id] for line in lines}
        held = [rows[line.id] for line in lines if line.held_until is not None]
        with use_locale(user.locale, user.timezone):
            said = announcements(session, bell_lines(session, lines))
        pushes = [_Push(each, [own[each.id]] if each.id in own else held) for each in reversed(said)]
    wanted = {row for push in pushes for row in push.rows}
    session.exec(delete(PushDelivery).where(col(PushDelivery.id).in_(set(rows.values()) - wanted)))
    return browser_of(context, subscription) if pushes else None, pushes


def _contact(context: AppContext) -> str:
    """Whom a push service may write to about us (RFC 8292 section 2.1)."""
    base = context.settings.base_url
    return base if base.startswith("https:") else f"mailto:postmaster@{urlsplit(base).hostname}"


def _body(announcement: Announcement, browser: PushTarget) -> bytes:
    words = {**asdict(announcement), "text": announcement.text[:TEXT]}
    plain = json.dumps(words, ensure_ascii=False, separators=(",", ":")).encode()
    assert len(plain) <= MOST_BYTES, "a sentence is short"
    return encrypt(plain, browser, new_key(), os.urandom(16))


def _headers(named: str, announcement: Announcement) -> dict[str, str]:
    return {
        "authorization": named,
        "content-encoding": "aes128gcm",
        "content-type": "application/octet-stream",
        "ttl": str(int(KEEP.total_seconds())),
        "topic": announcement.id,  # what is still waiting at the service of the same line is replaced (RFC 8030 section 5.4)
        "urgency": "high" if announcement.kind in _URGENT else "normal",
    }


def _note(session: Session, subscription_id: int, due: Sequence[int], answer: EndpointAnswer) -> None:
    """Handed over: these rows are done with. Refused for good: so are they. Otherwise they are due again later."""
    subscription = session.get(PushSubscription, subscription_id, with_for_update=True)
    if subscription is None:
        return
    if answer.status in _GONE:
        session.delete(subscription)
        return
    moment, rows = now(), col(PushDelivery.id).in_(due)
    is_later = answer.status is None or answer.status >= 500 or answer.status in _AGAIN
    subscription.failing_since = (subscription.failing_since or moment) if is_later else None
    if not is_later or moment - (subscription.failing_since or moment) >= KEEP:
        session.exec(delete(PushDelivery).where(rows))
        return
    tries = session.exec(select(func.max(PushDelivery.tries)).where(rows)).one() or 0
    pause = max(BACK_OFF[min(tries, len(BACK_OFF) - 1)], answer.retry_after or timedelta())
    session.exec(update(PushDelivery).where(rows).values(due_at=moment + pause, tries=col(PushDelivery.tries) + 1))
