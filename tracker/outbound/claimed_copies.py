"""Copies of one account that are ours to hand over: claimed together, composed one at a time right before each leaves."""

import time
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, Self

from sqlalchemy import ColumnElement, bindparam, func, update
from sqlalchemy import select as columns
from sqlalchemy.exc import DBAPIError
from sqlmodel import Session, col, select

from tracker.consent.preferences import preference
from tracker.models import Account, Delivery, Message, MessageBody, Recipient, TrackedLink
from tracker.outbound.consent_request import personal_copy
from tracker.outbound.copies import LONG_HTML, Copy, ScannedMessage, make_copy, scan_message
from tracker.outbound.footer_text import footer_for
from tracker.outbound.mime_patch import Untouched
from tracker.outbound.policy import recheck_consent
from tracker.outbound.send_quota import HANDED_OVER, WAITING, hold_quota, pause, send_quota
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import HeldLease, is_free, is_held_by

FRESH_SECONDS = 2.0
"""So long a copy goes out by what consent said when it was claimed; after that it is asked again."""
FIRST_CLAIM, MOST_CLAIMED = 20, 80
"""Copies that are claimed together: at first, and as soon as an account takes them faster than consent grows old."""
SMALL_BYTES = 65_536
"""Messages of up to this size are read together with the claim."""
_RAW = (
    columns(col(MessageBody.raw))
    .join(Delivery, col(Delivery.message_id) == col(MessageBody.message_id))
    .where(
        col(Delivery.id) == bindparam("of_delivery"),
        col(Delivery.status).in_(WAITING),
        col(Delivery.next_try_at).is_not(None),
        is_held_by(HANDED_OVER),
    )
    .execution_options(inkling_binary=True)
)
"""The bytes of a copy that still waits and is still ours."""
_SMALL = (
    columns(col(MessageBody.message_id), col(MessageBody.raw))
    .where(
        col(MessageBody.message_id).in_(bindparam("messages", expanding=True)),
        func.length(col(MessageBody.raw)) <= SMALL_BYTES,
    )
    .execution_options(inkling_binary=True)
)
_LINKS = columns(*(col(getattr(TrackedLink, name)) for name in ("message_id", "position", "url", "tracked")))
_LINKS = _LINKS.where(col(TrackedLink.message_id).in_(bindparam("messages", expanding=True)), col(TrackedLink.tracked))
_IS_OURS = columns(is_held_by(HANDED_OVER))
_SIZES = update(Message.__table__).where(col(Message.id) == bindparam("of_message"))  # type: ignore[attr-defined]
_SIZES = _SIZES.values(html_bytes_before=bindparam("before"), html_bytes_after=bindparam("after"))


@dataclass(frozen=True)
class ClaimedCopy:
    """A copy that is ours to hand over. The policy of its delivery was tightened by consent, and is frozen."""

    lease: HeldLease
    delivery: Delivery


class ClaimedCopies:
    """Some copies of an account, claimed together. When its block ends, others may take at once what was not noted."""

    def __init__(self, context: AppContext, account: Account | None) -> None:
        self._context, self._account = context, account
        self.leases: dict[int, HeldLease] = {}
        """By delivery, of what was not noted yet."""
        self.waiting: list[ClaimedCopy] = []
        """What was not taken yet, the next one last."""
        self._fresh_until, self._together = 0.0, FIRST_CLAIM
        self._is_new = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.leases:
            with suppress(DBAPIError), self._context.database.session_scope() as session:
                self._give_back(session)

    def claim(self, most: int) -> bool:
        """The next copies that are due, at most so many. What was not noted is given back before. Returns whether there are any:
        none when nothing is due, or the account has sent enough for now.
        """
        if self._fresh_until:
            self._together = FIRST_CLAIM if self.waiting else MOST_CLAIMED
        with self._context.database.session_scope() as session:
            self._give_back(session)
            self.waiting = self._claimed(session, min(most, self._together))[::-1]
        self.leases = {copy.delivery.id: copy.lease for copy in self.waiting}
        self._fresh_until, self._is_new = time.monotonic() + FRESH_SECONDS, True
        return bool(self.waiting)

    def take(self) -> ClaimedCopy | None:
        """The next one, as long as what consent says about them is fresh; the first of a claim always is."""
        if not self.waiting or not (self._is_new or time.monotonic() < self._fresh_until):
            return None
        self._is_new = False
        return self.waiting.pop()

    def is_ours(self, copy: ClaimedCopy) -> bool:
        """False once another worker has taken it over, as when we stood still. Asked again where the claim is not fresh."""
        if time.monotonic() < self._fresh_until:
            return True
        with self._context.database.reading() as session:
            return bool(session.connection().execute(_IS_OURS, _held(copy.lease)).scalar_one())

    def noted(self, copy: ClaimedCopy) -> None:
        """What becomes of it is being written down, and its lease given back with it."""
        del self.leases[copy.delivery.id]

    def _claimed(self, session: Session, most: int) -> list[ClaimedCopy]:
        moment, account = now(), self._account
        if account is None:
            return _claim_due(self._context, session, is_due_of(None, moment), most)
        account = hold_quota(session, account)
        quota = send_quota(session, account, moment)
        if quota.wait:
            pause(session, account, moment, quota)
            return []
        return _claim_due(self._context, session, is_due_of(account.id, moment), min(most, quota.copies))

    def _give_back(self, session: Session) -> None:
        self._context.leases.release_many(session, self.leases.values())


def _held(lease: HeldLease) -> dict[str, Any]:
    """The parameters of :func:`is_held_by`."""
    return {"subject": lease.subject, "token": lease.token, "moment": now()}


def _claim_due(context: AppContext, session: Session, due: ColumnElement[bool], most: int) -> list[ClaimedCopy]:
    # A row that is locked was taken back this moment, or another worker claims it: the look is at what is committed after it.
    statement = select(Delivery).where(due).order_by(col(Delivery.next_try_at), col(Delivery.id)).limit(most)
    deliveries = session.exec(statement.with_for_update(of=Delivery, skip_locked=True)).all()
    leases = context.leases.claim_many(session, HANDED_OVER, [delivery.id for delivery in deliveries])
    held = {int(lease.subject): lease for lease in leases}
    claimed = [ClaimedCopy(held[d.id], d) for d in deliveries if d.id in held]
    before = [(copy.delivery.opens_on, copy.delivery.clicks_on) for copy in claimed]
    recheck_consent(session, context, [copy.delivery for copy in claimed])
    after = [(copy.delivery.opens_on, copy.delivery.clicks_on) for copy in claimed]
    _count_tracked(
        session, {c.delivery.message_id for c, was, is_now in zip(claimed, before, after, strict=True) if was != is_now}
    )
    return claimed


def is_due_of(account_id: int | None, moment: datetime) -> ColumnElement[bool]:
    """The condition for copies of an account that are to be handed over and that nobody is handing over."""
    of_account = col(Delivery.account_id).is_(None) if account_id is None else col(Delivery.account_id) == account_id
    return of_account & is_due(moment)


def is_due(moment: datetime) -> ColumnElement[bool]:
    """The same for copies of any account."""
    return (col(Delivery.next_try_at) <= moment) & is_waiting(moment)


def is_waiting(moment: datetime) -> ColumnElement[bool]:
    """The same for copies that are to be handed over at some time."""
    return col(Delivery.status).in_(WAITING) & is_free(HANDED_OVER, col(Delivery.id), moment)


class Composer:
    """Makes the bytes of some copies, of one after the other. What they share is read once; no transaction is left open."""

    def __init__(self, context: AppContext, session: Session, copies: Sequence[ClaimedCopy]) -> None:
        """``session`` is one for reading, of which nobody else makes use."""
        self._context, self._session = context, session
        self._copies = Counter(copy.delivery.message_id for copy in copies)
        message_ids = set(self._copies)
        recipient_ids = {copy.delivery.recipient_id for copy in copies}
        personal = columns(col(Message.id)).where(col(Message.id).in_(message_ids), col(Message.personal_link) != "")
        self._personal = set(session.connection().execute(personal).scalars())
        # Held, so that asking the session for one of them asks nobody else.
        self._recipients = session.exec(select(Recipient).where(col(Recipient.id).in_(recipient_ids))).all()
        self._links: dict[int, list[Any]] = defaultdict(list)
        for link in session.connection().execute(_LINKS, {"messages": sorted(message_ids)}):
            self._links[link.message_id].append(link)
        self._last_read: tuple[int, ScannedMessage | Untouched] | None = None
        self._hidden_link = bool(preference(session, "hidden_link"))
        self._small = dict(session.connection().execute(_SMALL, {"messages": sorted(message_ids)}).all())
        session.commit()

    def compose(self, claimed: ClaimedCopy) -> Copy | None:
        """The copy as it goes out; None when it waits no more, or is not ours any more. Of small messages that was asked with
        the claim: nobody takes a copy back while it is held."""
        delivery, lease = claimed.delivery, claimed.lease
        try:
            if (small := self._small.get(delivery.message_id)) is not None:
                return self._copy_of(delivery, small)
            raw = self._session.connection().execute(_RAW, {"of_delivery": delivery.id, **_held(lease)}).scalars().all()
            return self._copy_of(delivery, raw[0] or b"") if raw else None
        finally:
            self._session.commit()

    def _copy_of(self, delivery: Delivery, raw: bytes) -> Copy:
        session, message_id = self._session, delivery.message_id
        if message_id in self._personal:
            message, body = session.get_one(Message, message_id), session.get_one(MessageBody, message_id)
            return Copy(personal_copy(session, self._context, message, body, delivery))
        return make_copy(
            self._context,
            raw,
            delivery,
            self._links[message_id],
            hidden_link=self._hidden_link,
            footer=lambda html: footer_for(session, self._context, delivery, html, now().date()),
            read=partial(self._read, message_id),
        )

    def _read(self, message_id: int, raw: bytes) -> ScannedMessage | Untouched:
        """Of a message with several copies what the one before began with: they come one after the other."""
        if self._copies[message_id] < 2:
            return scan_message(raw)
        if self._last_read is None or self._last_read[0] != message_id:
            self._last_read = message_id, scan_message(raw)
        return self._last_read[1]


def note_left_out(session: Session, copies: Sequence[tuple[Delivery, Copy]]) -> None:
    """Writes down what had to be left out of copies that were handed over."""
    _count_tracked(session, {delivery.message_id for delivery, copy in copies if _note_left_out(delivery, copy)})


def note_sizes(session: Session, copies: Sequence[tuple[int, Copy | None]]) -> None:
    """Writes down how large the HTML of copies was that were handed over, by the number of their message, where it is long."""
    sizes = {
        message_id: {"before": copy.html_bytes_before, "after": copy.html_bytes_after}
        for message_id, copy in copies
        if copy is not None and copy.html_bytes_after > LONG_HTML
    }
    if sizes:
        rows = [{"of_message": message_id, **sizes[message_id]} for message_id in sorted(sizes)]
        session.connection().execute(_SIZES, rows)


def _note_left_out(delivery: Delivery, copy: Copy) -> bool:
    before = delivery.opens_on, delivery.clicks_on
    if copy.problem:  # tracking may never block a send: the original goes out, and the row says so
        _switch_off(delivery, ("opens", "clicks"), copy.problem)
    elif copy.no_place_for_pixel:
        _switch_off(delivery, ("opens",), "text_only")
    return (delivery.opens_on, delivery.clicks_on) != before


def _switch_off(delivery: Delivery, purposes: Sequence[str], rule: str) -> None:
    for purpose in purposes:
        if getattr(delivery, f"{purpose}_on"):
            setattr(delivery, f"{purpose}_on", False)
            setattr(delivery, f"{purpose}_rule", rule)


def _count_tracked(session: Session, message_ids: Collection[int]) -> None:
    if message_ids:
        session.flush()
    for message_id in sorted(message_ids):
        of_message = col(Delivery.message_id) == message_id
        counts = {
            f"{purpose}_tracked": select(func.count()).where(of_message, on).scalar_subquery()
            for purpose, on in (("opens", col(Delivery.opens_on)), ("clicks", col(Delivery.clicks_on)))
        }
        session.exec(update(Message).where(col(Message.id) == message_id).values(counts))
