"""Pauses: a reply asks not to be tracked, tracking stops at once, and a person decides whether that was a withdrawal.

Nothing is withdrawn by words alone, and nothing goes on by silence: without a decision the pause stays.
"""

from datetime import datetime, timedelta

from sqlmodel import Session, col, delete, select, update
from sqlmodel.sql.expression import SelectOfScalar

from tracker.consent.ledger import consent_of, record_consent
from tracker.consent.preferences import workspace_pack
from tracker.consent.rules import MEASURED, ConsentState, Proof, no_after
from tracker.models import Delivery, Letter, Notification, Recipient, TrackingPause, User
from tracker.models.counting.bulk import insert_or_keep
from tracker.models.rows import public_id
from tracker.notifications.notify import announce, notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText

DECIDE_WITHIN = timedelta(hours=72)
BATCH = 50


def begin_pause(session: Session, recipient: Recipient, letter: Letter, words: str) -> None:
    """Pauses tracking of ``recipient`` and asks whoever got the letter, where there is something (new) to ask.

    One question per person and recipient is open at a time; the same letter in another mailbox asks nothing again.
    """
    _hold(session, recipient.id)
    states = consent_of(session, [recipient.id])[recipient.id]
    if all(no_after(states[purpose], workspace_pack(session)) is None for purpose in MEASURED):
        return
    moment = now()
    row = {
        "public_id": public_id(),
        "recipient_id": recipient.id,
        "user_id": letter.user_id,
        "letter_id": letter.id,
        "content_hash": letter.content_hash,
        "words": words,
        "said_at": min(letter.received_at, moment),
        "began_at": moment,
        "due_at": moment + DECIDE_WITHIN,
        "decision": "",
    }
    made = session.execute(insert_or_keep(session, TrackingPause).values(row).returning(col(TrackingPause.id))).first()
    if made is None:
        return
    unpaused = (col(Recipient.id) == recipient.id) & col(Recipient.paused_at).is_(None)
    session.exec(update(Recipient).where(unpaused).values(paused_at=moment))
    _tell(session, session.get_one(TrackingPause, made[0]), moment)


def _hold(session: Session, recipient_id: int) -> None:
    """Whoever begins or ends a pause of this person waits for the other, so that an open one always has its mark."""
    session.exec(select(Recipient.id).where(Recipient.id == recipient_id).with_for_update(key_share=True)).one()


def _tell(session: Session, pause: TrackingPause, at: datetime) -> None:
    recipient = session.get_one(Recipient, pause.recipient_id)
    copy = select(Delivery.id).join(Letter, col(Letter.delivery_id) == col(Delivery.id))
    said = LocalizedText(
        "%(who)s asks not to be tracked: “%(words)s” Tracking is paused until you have decided.",
        who=recipient.name or recipient.address,
        words=pause.words,
    )
    delivery = session.exec(copy.where(Letter.id == pause.letter_id)).first()
    notify(session, pause.user_id, _line(pause), "withdrawal", at, detail=said, delivery_id=delivery)


def _line(pause: TrackingPause) -> str:
    return f"pause:{pause.id}"


def open_pauses(recipient: Recipient, user: User) -> SelectOfScalar[TrackingPause]:
    """What this person has to decide about the recipient; there is none without ``paused_at``. The words of others' letters
    are theirs."""
    return select(TrackingPause).where(
        TrackingPause.recipient_id == recipient.id,
        TrackingPause.user_id == user.id,
        col(TrackingPause.decided_at).is_(None),
    )


def decide(session: Session, pause: TrackingPause, user: User, *, withdrawn: bool) -> bool:
    """Ends the pause: as a withdrawal, with the words as its proof, or as a misunderstanding. False when that was done before.

    A withdrawal answers what others were asked about the same recipient; otherwise their pauses go on.
    """
    _hold(session, pause.recipient_id)
    decided = {"decided_at": now(), "decision": "withdrawn" if withdrawn else "continued"}
    undecided = col(TrackingPause.decided_at).is_(None)
    claim = update(TrackingPause).where(col(TrackingPause.id) == pause.id, undecided).values(decided)
    if session.exec(claim).rowcount == 0:
        return False
    recipient = session.get_one(Recipient, pause.recipient_id)
    theirs = select(TrackingPause).where(TrackingPause.recipient_id == recipient.id, undecided)
    ended = [pause]
    if withdrawn:
        _withdraw(session, recipient, pause, user)
        ended += session.exec(theirs).all()
        session.exec(
            update(TrackingPause)
            .where(col(TrackingPause.id).in_([pause.id for pause in ended]), undecided)
            .values(decided)
        )
    _drop_lines(session, ended)
    if session.exec(theirs.limit(1)).first() is None:
        session.exec(update(Recipient).where(col(Recipient.id) == recipient.id).values(paused_at=None))
    return True


def _withdraw(session: Session, recipient: Recipient, pause: TrackingPause, user: User) -> None:
    """No to everything that is not a no already."""
    states = consent_of(session, [pause.recipient_id])[pause.recipient_id]
    letter = session.get(Letter, pause.letter_id) if pause.letter_id else None
    proof = Proof(note=f"“{pause.words}”", reference=letter.message_id[:200] if letter else "")
    for purpose in MEASURED:
        state: ConsentState | None = no_after(states[purpose], workspace_pack(session))
        if state is not None:
            record_consent(
                session,
                recipient,
                purpose,
                state,
                actor=f"user:{user.id}",
                channel="reply_text",
                proof=proof,
                at=pause.said_at,
            )


def _drop_lines(session: Session, ended: list[TrackingPause]) -> None:
    """What is decided needs no line any more."""
    for pause in ended:
        mine = (col(Notification.user_id) == pause.user_id) & (col(Notification.subject) == _line(pause))
        session.exec(delete(Notification).where(mine))
        announce(session, pause.user_id, "notification", "")


def remind_undecided(context: AppContext) -> int:
    """Tells again what should have been decided by now, and once more every three days. Returns how many."""
    moment = now()
    with context.database.reading() as session:
        due = col(TrackingPause.decided_at).is_(None) & (col(TrackingPause.due_at) <= moment)
        if session.exec(select(TrackingPause.id).where(due).limit(1)).first() is None:
            return 0
    with context.database.session_scope() as session:
        rows = session.exec(select(TrackingPause).where(due).limit(BATCH).with_for_update(skip_locked=True)).all()
        for pause in rows:
            pause.due_at = moment + DECIDE_WITHIN
            _tell(session, pause, moment)
        return len(rows)
