"""Push: which browsers a person wants news in, and what is on its way to them. Sent by :mod:`tracker.outbound.push_queue`."""

from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import Field
from sqlalchemy import insert, literal
from sqlalchemy import select as columns
from sqlmodel import Session, col, delete, select

from tracker.mail.fields import RequestModel, SingleLine
from tracker.models import Notification, PushDelivery, PushKey, PushSubscription, User, UserSession
from tracker.models.counting.bulk import insert_or_keep
from tracker.notifications.push_encryption import (
    PushTarget,
    key_from_number,
    new_key,
    number_of,
    point_of,
    to_base64url,
)
from tracker.notifications.webhooks import check_url
from tracker.runtime.context import AppContext
from tracker.runtime.database import UtcDateTime, now
from tracker.runtime.keyring import Undecryptable, token_digest
from tracker.runtime.localized_text import ActionError, LocalizedText

MOST_BROWSERS = 20
"""Of one person; the oldest gives way."""
KEY_RECORD = "push key"


class NewPushSubscription(RequestModel):
    """What a browser gives: ``PushSubscription.toJSON()``, flat."""

    endpoint: SingleLine = Field(min_length=1, max_length=2000)
    p256dh: str = Field(max_length=100)
    auth: str = Field(max_length=30)


def push_key(session: Session, context: AppContext) -> ec.EllipticCurvePrivateKey:
    """The key that names this workspace to push services; made when it is first asked for. Where the keys that sealed it are lost,
    a new one is made, and browsers are asked to subscribe again."""
    row = session.get(PushKey, 1)
    try:
        if row is not None:
            return key_from_number(context.keyring.decrypt(row.secret, KEY_RECORD))
    except Undecryptable:
        session.exec(delete(PushSubscription))
        session.exec(delete(PushKey))
    key = new_key()
    new = PushKey(public=to_base64url(point_of(key)), secret=context.keyring.encrypt(number_of(key), KEY_RECORD))
    session.execute(insert_or_keep(session, PushKey).values(new.model_dump()))
    row = session.exec(select(PushKey)).one()  # somebody else's, when two asked at once
    return key_from_number(context.keyring.decrypt(row.secret, KEY_RECORD))


def subscribe(
    session: Session, context: AppContext, user: User, sign_in: UserSession, new: NewPushSubscription
) -> PushSubscription:
    """Tells this browser of the person's news until this sign-in ends. The same browser again is the same subscription.

    Raises :class:`ActionError` ``invalid``.
    """
    check_url(context, new.endpoint)
    try:
        browser = PushTarget(new.endpoint, new.p256dh, new.auth)
    except ValueError:
        raise ActionError("invalid", LocalizedText("These are not the keys of a browser."), "p256dh") from None
    unsubscribe(session, new.endpoint)
    row = PushSubscription(
        user_id=user.id,
        session_id=sign_in.id,
        endpoint_digest=token_digest(new.endpoint),
        sealed=context.keyring.encrypt(browser.to_json(), record_of(new.endpoint)),
    )
    session.add(row)
    session.flush()
    mine = select(PushSubscription.id).where(PushSubscription.user_id == user.id)
    newest = mine.order_by(col(PushSubscription.id).desc()).limit(MOST_BROWSERS)
    others = col(PushSubscription.user_id) == user.id, col(PushSubscription.id).not_in(session.exec(newest).all())
    session.exec(delete(PushSubscription).where(*others))
    return row


def unsubscribe(session: Session, endpoint: str) -> None:
    """Whoever knows a browser's address is that browser, or had it from it."""
    session.exec(delete(PushSubscription).where(col(PushSubscription.endpoint_digest) == token_digest(endpoint)))


def browser_of(context: AppContext, row: PushSubscription) -> PushTarget:
    return PushTarget.from_json(context.keyring.decrypt(row.sealed, record_of(row)))


def record_of(subscription: PushSubscription | str) -> str:
    """What a sealed subscription is bound to."""
    digest = token_digest(subscription) if isinstance(subscription, str) else subscription.endpoint_digest
    return f"push:{digest}"


def enqueue_push(session: Session, line: Notification) -> None:
    """News of a line that rings go to each of the person's browsers, in place of what is still on its way of the same line; what
    quiet hours hold goes when they end."""
    if line.read_at is not None or line.kind == "corrected" or line.user_id not in _people(session):
        return
    session.exec(delete(PushDelivery).where(col(PushDelivery.notification_id) == line.id))
    due_at = literal(line.held_until or now(), UtcDateTime())
    browsers = columns(col(PushSubscription.id), literal(line.id), due_at, literal(0))
    browsers = browsers.where(col(PushSubscription.user_id) == line.user_id)
    names = ["subscription_id", "notification_id", "due_at", "tries"]
    session.execute(insert(PushDelivery).from_select(names, browsers))


def _people(session: Session) -> frozenset[int]:
    """Whoever has a browser that is pushed to. Read once in a session: mostly there is nobody."""
    known: frozenset[int] | None = session.info.get("pushed_to")
    if known is None:
        rows = session.connection().execute(columns(col(PushSubscription.user_id)).distinct())
        known = session.info["pushed_to"] = frozenset(rows.scalars())
    return known
