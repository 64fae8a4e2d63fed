"""Who may submit what: app tokens, wrong tries, sending addresses, messages per hour. Synchronous."""

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import bindparam, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.mail.addresses import lookup_or_none
from tracker.models import Account, ApiToken, Message, MessageState, User
from tracker.outbound.draft import SendError
from tracker.outbound.gateway.resubmission import Marked, accepted_before, mark_of, note_accepted
from tracker.outbound.gateway.submitted import IS_CONFIRMED, confirmed_accounts, read_submitted
from tracker.outbound.send import Outgoing, enqueue_all, plan_all
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest
from tracker.runtime.limits import MAX_SUBMITTED_BYTES, MAX_WRONG_TOKENS
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
    """What one client may do, and all together."""

    message_bytes: int = MAX_SUBMITTED_BYTES
    wrong_tokens: int = MAX_WRONG_TOKENS
    wrong_in_a_row: int = 3
    """Wrong tries after which the line is cut."""
    seconds_after_wrong: float = 1.0
    connections: int = 1024
    """In all, never more than an eighth of the file descriptors; those that have not signed in make room, the oldest first."""
    connections_per_source: int = 256


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
    with context.database.reading() as session:
        row = session.exec(_BY_DIGEST, params={"digest": token_digest(token)}).first()
        if row is None:
            return None
        api_token, email = row
        return api_token if form == email or form in confirmed_accounts(session, api_token.user_id) else None


def _count_wrong(context: AppContext, login: str, source: str, limits: GatewayLimits) -> None:
    """Counts by login, however it is written, and source together, and with ten times the room by source alone."""
    place, form = network_of(source), lookup_or_none(login) or "nobody"
    free_tries = {f"gateway {form} from {place}": limits.wrong_tokens, f"gateway {place}": 10 * limits.wrong_tokens}
    try:
        count_try(context, free_tries)
    except ActionError:
        raise Refused(TOO_MANY_WRONG) from None


def check_sender(context: AppContext, submitter: Submitter, mail_from: str) -> None:
    """Whether this person may begin a message with this reverse-path now. Raises :class:`Refused`."""
    with context.database.reading() as session:
        connection = session.connection()
        addresses = connection.execute(_SENDERS, {"tokens": [submitter.token_id]}).scalars().all()
        if not addresses:
            raise Refused(SIGNED_OUT)
        if lookup_or_none(mail_from) not in {lookup_or_none(address) for address in addresses if address}:
            raise Refused(NOT_YOURS)
        if (most := context.settings.messages_per_hour) and _within_an_hour(session, submitter.user_id) >= most:
            raise Refused(TOO_MANY_MESSAGES)


_IS_VALID = col(ApiToken.revoked_at).is_(None) & col(User.active)
_OF_TOKENS = col(ApiToken.id).in_(bindparam("tokens", expanding=True))
_BY_DIGEST = select(ApiToken, User.email).join(User).where(_IS_VALID, col(ApiToken.token_digest) == bindparam("digest"))
_USERS = select(User).join(ApiToken).where(_IS_VALID, _OF_TOKENS)
_VALID = columns(col(ApiToken.id)).join(User).where(_IS_VALID, _OF_TOKENS)
_SENDERS = (
    columns(col(Account.address))
    .select_from(ApiToken)
    .join(User)
    .outerjoin(Account, (col(Account.user_id) == col(User.id)) & IS_CONFIRMED)
    .where(_IS_VALID, _OF_TOKENS)
)
"""A row with None where the token holds and no address is confirmed."""
_WITHIN_AN_HOUR = columns(func.count()).where(
    col(Message.user_id) == bindparam("user"),
    col(Message.listed_at) > bindparam("since"),  # never before created_at, and in an index
    col(Message.created_at).between(bindparam("since"), bindparam("until")),  # not of a clock that ran ahead
    col(Message.state) != MessageState.DRAFT,
)


def _within_an_hour(session: Session, user_id: int) -> int:
    moment = now()
    facts = {"user": user_id, "since": moment - timedelta(hours=1), "until": moment + timedelta(minutes=1)}
    return int(session.connection().execute(_WITHIN_AN_HOUR, facts).scalar_one())


def _user_of(session: Session, submitter: Submitter) -> User:
    """The person, as long as the token holds: it may be revoked while the line is open."""
    user = session.exec(_USERS, params={"tokens": [submitter.token_id]}).first()
    if user is None:
        raise Refused(SIGNED_OUT)
    return user


def _check_tokens(session: Session, token_ids: Collection[int]) -> None:
    valid = session.connection().execute(_VALID, {"tokens": list(token_ids)}).all()
    if len(valid) < len(token_ids):
        raise Refused(SIGNED_OUT)


@dataclass(frozen=True)
class ReadSubmission:
    """A message that was read and waits for its transaction. ``mark`` is what a second try of it would have, too."""

    context: AppContext
    submitter: Submitter
    outgoing: Outgoing
    mark: str | None

    @property
    def key(self) -> Marked:
        """The same for two tries of one submission."""
        return self.submitter.user_id, self.mark or f"{id(self)}"


def submit(
    context: AppContext, submitter: Submitter, mail_from: str, rcpt_tos: Sequence[str], raw: bytes
) -> Future[str]:
    """Reads a message and has it committed with its deliveries, together with what other lines submit at this moment. The future
    gives its public id; of a second try, that of the message from the first.

    Both raise :class:`Refused`; then nothing was kept.
    """
    try:
        with context.database.reading() as session:
            user = _user_of(session, submitter)
            outgoing = read_submitted(session, context, user, mail_from, rcpt_tos, raw)
    except SendError as error:
        raise Refused(_REPLIES.get(error.code, "554 5.6.0 This message cannot be sent")) from None
    submission = ReadSubmission(context, submitter, outgoing, mark_of(context, rcpt_tos, raw))
    return context.database.commit_together(_accept, submission)


def _accept(group: Sequence[ReadSubmission]) -> list[str]:
    """Plans outside the transaction that writes: it takes longest."""
    context = group[0].context
    with context.database.reading() as session:
        plans = plan_all(session, context, [each.outgoing for each in group])
    with context.database.session_scope() as session:
        _check_tokens(session, {each.submitter.token_id for each in group})
        accepted = accepted_before(session, {each.key for each in group if each.mark})
        new = {each.key: (each.outgoing, plan) for each, plan in zip(group, plans, strict=True)}
        new = {key: planned for key, planned in new.items() if key not in accepted}
        messages = enqueue_all(session, *zip(*new.values(), strict=True)) if new else []
        taken = dict(zip(new, messages, strict=True))
        note_accepted(session, {each.key: taken[each.key] for each in group if each.mark and each.key in taken})
    for each in group:
        what = "submitted" if each.key in taken else "submitted again: kept once"
        log.info("message %s %s: %d bytes", (accepted | taken)[each.key].public_id, what, len(each.outgoing.raw))
    return [(accepted | taken)[each.key].public_id for each in group]
