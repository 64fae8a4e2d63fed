"""Who may submit what: app tokens, wrong tries, sending addresses, messages per hour. Synchronous."""

import logging
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import bindparam, func
from sqlalchemy import select as columns
from sqlmodel import Session, col, select

from tracker.consent.preferences import preference
from tracker.mail.addresses import lookup_form, lookup_or_none
from tracker.models import ApiToken, Message, MessageState, User
from tracker.outbound.draft import SendError
from tracker.outbound.gateway.resubmission import Marked, SubmittedBefore, accepted_before, mark_of, note_accepted
from tracker.outbound.gateway.submitted import ACCOUNTS, KnownSender, confirmed, read_submitted
from tracker.outbound.host_health import host_problem
from tracker.outbound.policy import PlannedRecipient
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
    token_digest: str


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
    digest, form = token_digest(token), lookup_or_none(login)
    holder = _holder_of(context, digest)
    if holder is None or not (form == holder.known.user.email or form in holder.known.accounts):
        _count_wrong(context, login, source, limits)
        return None
    note_token_use(context, holder.token)
    return Submitter(holder.token.user_id, holder.token.id, digest)


@dataclass(frozen=True)
class TokenHolder:
    """A valid token, whose it is, and which addresses they have."""

    token: ApiToken
    known: KnownSender


def _holder_of(context: AppContext, digest: str) -> TokenHolder | None:
    """From memory as a rule: a mail program signs in for every message."""
    return context.database.remembered(_read_holder, digest, ("api_token", "user_account", "account"))


def _read_holder(session: Session, digest: str) -> TokenHolder | None:
    row = session.exec(_BY_DIGEST, params={"digest": digest}).first()
    if row is None:
        return None
    token, user = row
    accounts = session.exec(ACCOUNTS, params={"user": user.id}).all()
    own = frozenset({user.email, *(lookup_form(account.address) for account in accounts)})
    return TokenHolder(token, KnownSender(user, confirmed(accounts), own))


def _workspace(context: AppContext) -> dict[str, Any]:
    """What a session for policies would read first: see :func:`preference` and :func:`host_problem`."""
    return context.database.remembered(_read_workspace, None, ("preference", "host_health"))


def _read_workspace(session: Session, _key: None) -> dict[str, Any]:
    preference(session, "policy")
    return {"preferences": session.info["preferences"], "host_problem": host_problem(session)}


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
    if lookup_or_none(mail_from) not in _sender(context, submitter).accounts:
        raise Refused(NOT_YOURS)
    if most := context.settings.messages_per_hour:
        with context.database.reading() as session:
            if _within_an_hour(session, submitter.user_id) >= most:
                raise Refused(TOO_MANY_MESSAGES)


def _sender(context: AppContext, submitter: Submitter) -> KnownSender:
    """The person, as long as the token holds: it may be revoked while the line is open."""
    holder = _holder_of(context, submitter.token_digest)
    if holder is None:
        raise Refused(SIGNED_OUT)
    return holder.known


_IS_VALID = col(ApiToken.revoked_at).is_(None) & col(User.active)
_OF_TOKENS = col(ApiToken.id).in_(bindparam("tokens", expanding=True))
_BY_DIGEST = select(ApiToken, User).join(User).where(_IS_VALID, col(ApiToken.token_digest) == bindparam("digest"))
_VALID = columns(col(ApiToken.id)).join(User).where(_IS_VALID, _OF_TOKENS)
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
    sender = _sender(context, submitter)
    try:
        with context.database.reading() as session:
            session.info.update(_workspace(context))
            outgoing = read_submitted(session, context, sender, mail_from, rcpt_tos, raw)
    except SendError as error:
        raise Refused(_REPLIES.get(error.code, "554 5.6.0 This message cannot be sent")) from None
    submission = ReadSubmission(context, submitter, outgoing, mark_of(context, rcpt_tos, raw))
    return context.database.commit_together(_accept, submission)


Planned = tuple[Outgoing, Sequence[PlannedRecipient]]


def _accept(group: Sequence[ReadSubmission]) -> list[str]:
    """On SQLite, which has one writer at a time, plans before the transaction that writes. Words are indexed by the worker."""
    context, accepted, planned = group[0].context, dict[Marked, str](), dict[Marked, Planned]()
    if context.database.is_sqlite:
        with context.database.reading() as session:
            planned = _planned(session, group)
    marked = {each.key for each in group if each.mark}
    while True:
        try:
            with context.database.session_scope(hooks=False) as session:
                _check_tokens(session, {each.submitter.token_id for each in group})
                planned = planned or _planned(session, group)
                new = _write(session, {key: each for key, each in planned.items() if key not in accepted}, marked)
            break
        except SubmittedBefore:
            with context.database.reading() as session:
                accepted = accepted_before(session, marked)
    for each in group:
        what = "submitted" if each.key in new else "submitted again: kept once"
        log.info("message %s %s: %d bytes", (accepted | new)[each.key], what, len(each.outgoing.raw))
    return [(accepted | new)[each.key] for each in group]


def _planned(session: Session, group: Sequence[ReadSubmission]) -> dict[Marked, Planned]:
    context = group[0].context
    session.info.update(_workspace(context))
    plans = plan_all(session, context, [each.outgoing for each in group])
    return {each.key: (each.outgoing, plan) for each, plan in zip(group, plans, strict=True)}


def _write(
    session: Session,
    planned: Mapping[Marked, Planned],
    marked: Collection[Marked],
) -> dict[Marked, str]:
    """The public ids of the new messages. Raises :class:`SubmittedBefore`."""
    if not planned:
        return {}
    messages = dict(zip(planned, enqueue_all(session, *zip(*planned.values(), strict=True)), strict=True))
    note_accepted(session, {key: message.id for key, message in messages.items() if key in marked})
    return {key: message.public_id for key, message in messages.items()}
