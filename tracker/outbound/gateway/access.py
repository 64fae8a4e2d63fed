"""Who may submit what: app tokens, wrong tries, sending addresses, messages per hour. Synchronous; one transaction per call."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, func
from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import ApiToken, Message, MessageState, User
from tracker.outbound.draft import SendError
from tracker.outbound.gateway.resubmission import accepted_before, mark_of, note_accepted
from tracker.outbound.gateway.submitted import confirmed_accounts, enqueue_submitted
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest
from tracker.runtime.limits import MAX_MESSAGES_PER_HOUR, MAX_SUBMITTED_BYTES, MAX_WRONG_TOKENS
from tracker.runtime.localized_text import ActionError
from tracker.runtime.throttle import count_try, network_of
from tracker.users import note_token_use

log = logging.getLogger(__name__)

NOT_YOURS = "550 5.7.1 This sender address is not one of yours that are confirmed; confirm it in the settings"
SIGNED_OUT = "530 5.7.0 Authentication required: this token is not valid any more"
TOO_MANY_WRONG = "454 4.7.0 Too many wrong tries; wait half a minute"
TOO_MANY_MESSAGES = "451 4.7.1 Too many messages within one hour; try again later"
_REPLIES = {
    "not_yours": NOT_YOURS,
    "too_many": "452 4.5.3 Too many recipients",
    "nul": "554 5.6.0 The message holds a NUL character, which no mail may",
}


@dataclass(frozen=True)
class GatewayLimits:
    """What one client may do."""

    message_bytes: int = MAX_SUBMITTED_BYTES
    messages_per_hour: int = MAX_MESSAGES_PER_HOUR
    wrong_tokens: int = MAX_WRONG_TOKENS
    wrong_in_a_row: int = 3
    """Wrong tries after which the line is cut."""
    seconds_after_wrong: float = 1.0


@dataclass(frozen=True)
class Submitter:
    """A signed-in person and the token they came with."""

    user_id: int
    token_id: int


class Refused(Exception):
    """What the client asks for is not granted; ``reply`` is the SMTP reply with its enhanced status code (RFC 3463)."""

    def __init__(self, reply: str) -> None:
        super().__init__(reply)
        self.reply = reply


def sign_in(context: AppContext, login: str, token: str, source: str, limits: GatewayLimits) -> Submitter | None:
    """The person whose address and app token these are; None when they do not belong together.

    A right token is always taken: it has 256 random bits, and somebody else's wrong tries must not lock its owner out.
    Raises :class:`Refused` for a wrong one when there were too many.
    """
    row = _token_of(context, login, token)
    if row is None:
        _count_wrong(context, login, source, limits)
        return None
    note_token_use(context, row)
    assert row.id is not None
    return Submitter(row.user_id, row.id)


def _token_of(context: AppContext, login: str, token: str) -> ApiToken | None:
    form = lookup_or_none(login)
    digest = token_digest(token)
    with context.database.reading() as session:
        found = _valid(session, ApiToken.token_digest == digest)
        if found is None:
            return None
        row, user = found
        return row if form == user.email or form in confirmed_accounts(session, user.id) else None


def _count_wrong(context: AppContext, login: str, source: str, limits: GatewayLimits) -> None:
    """Counts by login, however it is written, and source together, and with ten times the room by source alone."""
    place, form = network_of(source), lookup_or_none(login) or "nobody"
    free_tries = {f"gateway {form} from {place}": limits.wrong_tokens, f"gateway {place}": 10 * limits.wrong_tokens}
    try:
        count_try(context, free_tries)
    except ActionError:
        raise Refused(TOO_MANY_WRONG) from None


def check_sender(context: AppContext, submitter: Submitter, mail_from: str, limits: GatewayLimits) -> None:
    """Whether this person may begin a message with this reverse-path now. Raises :class:`Refused`."""
    with context.database.reading() as session:
        _user_of(session, submitter)
        if lookup_or_none(mail_from) not in confirmed_accounts(session, submitter.user_id):
            raise Refused(NOT_YOURS)
        if _within_an_hour(session, submitter.user_id) >= limits.messages_per_hour:
            raise Refused(TOO_MANY_MESSAGES)


def _user_of(session: Session, submitter: Submitter) -> User:
    """The person, as long as the token holds: it may be revoked while the line is open."""
    found = _valid(session, col(ApiToken.id) == submitter.token_id)
    if found is None:
        raise Refused(SIGNED_OUT)
    return found[1]


def _valid(session: Session, which: ColumnElement[bool] | bool) -> tuple[ApiToken, User] | None:
    valid = select(ApiToken, User).join(User).where(col(ApiToken.revoked_at).is_(None), col(User.active))
    return session.exec(valid.where(which)).first()


def _within_an_hour(session: Session, user_id: int) -> int:
    since = now() - timedelta(hours=1)
    count = select(func.count()).where(
        Message.user_id == user_id,
        Message.listed_at > since,  # never before created_at, and in an index
        col(Message.created_at).between(since, now() + timedelta(minutes=1)),  # not of a clock that ran ahead
        Message.state != MessageState.DRAFT,
    )
    return session.exec(count).one()


def submit(context: AppContext, submitter: Submitter, mail_from: str, rcpt_tos: Sequence[str], raw: bytes) -> str:
    """Commits a message and its deliveries and returns its public id; of a second try, that of the message from the first.

    Raises :class:`Refused`; then nothing was kept.
    """
    mark = mark_of(context, rcpt_tos, raw)
    try:
        with context.database.session_scope() as session:
            user = _user_of(session, submitter)
            message = accepted_before(session, user, mark) if mark else None
            is_new = message is None
            if message is None:
                message = enqueue_submitted(session, context, user, mail_from, rcpt_tos, raw)
                if mark:
                    note_accepted(session, user, mark, message)
    except SendError as error:
        raise Refused(_REPLIES.get(error.code, "554 5.6.0 This message cannot be sent")) from None
    what = "submitted" if is_new else "submitted again: kept once"
    log.info("message %s %s: %d recipients, %d bytes", message.public_id, what, len(rcpt_tos), len(raw))
    return message.public_id
