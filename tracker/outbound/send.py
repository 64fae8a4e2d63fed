"""The journey of a send, from what was written to a committed queue. What follows is in :mod:`tracker.outbound.queue`.

Nothing is sent before this has committed, and nothing sent can be without a row.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, delete, select

from tracker.mail.addresses import Mailbox, domain_of
from tracker.mail.message_ids import new_id
from tracker.mail.mime.build import NewMessage, build_message
from tracker.mail.mime.fields import list_unsubscribe
from tracker.mail.recipient_mx import request
from tracker.models import (
    Account,
    Attachment,
    Delivery,
    DeliveryStatus,
    Message,
    MessageBody,
    MessageState,
    TrackedLink,
    User,
)
from tracker.models.ownership import owned_rows
from tracker.notifications.notify import announce
from tracker.outbound.draft import Draft, OutgoingFile, SendError, check
from tracker.outbound.draft_form import ROLES, form_before_sending, form_text, read_form
from tracker.outbound.gateway.submitted_text import files
from tracker.outbound.message_links import find_links, snippet_of, strip_markers, strip_own_tracking, text_without_ours
from tracker.outbound.messages import followed_up
from tracker.outbound.policy import PlannedRecipient, check_wishes, plan_policy
from tracker.outbound.rewriter.rewriting import FoundLink
from tracker.outbound.send_quota import HANDED_OVER
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import held_subjects
from tracker.runtime.localized_text import ActionError, LocalizedText

log = logging.getLogger(__name__)


def plan(session: Session, context: AppContext, user: User, draft: Draft) -> list[PlannedRecipient]:
    """Before sending: who will be tracked, who not, and why. Raises :class:`SendError` for an unusable address."""
    return plan_policy(session, context, user, draft, account=_sending(session, user, draft))


def enqueue_composed(
    session: Session, context: AppContext, user: User, draft: Draft, *, message: Message | None = None
) -> Message:
    """Takes a message into the queue; once the caller's transaction has committed it will be sent.

    ``message`` is the draft's row, when there is one. Raises :class:`SendError`; then nothing was changed.
    """
    check(draft)
    check_wishes(context, draft)
    draft = replace(draft, html=strip_own_tracking(context, draft.html), text=text_without_ours(context, draft.text))
    account = _account(session, user, draft)
    if message is None:
        message = Message(user_id=user.id or 0, message_id="")
    message.message_id = new_id(context.keyring, "m", message.public_id, domain_of(account.address))
    raw = _build(account, draft, message.message_id)
    return enqueue(session, context, user, account, draft, raw, message)


def enqueue(
    session: Session,
    context: AppContext,
    user: User,
    account: Account,
    draft: Draft,
    raw: bytes,
    message: Message,
    *,
    untouched: str | None = None,
) -> Message:
    """The second half of :func:`enqueue_composed`: policy, rows, queue. ``raw`` is put together, ``draft`` says what is in it.

    ``untouched`` is the rule by which no copy of it may be changed, if there is one.
    """
    links = _links(session, context, draft, raw)
    planned = plan_policy(
        session,
        context,
        user,
        draft,
        account=account,
        untouched=untouched or (None if links is not None else "rewriting_failed"),
    )
    form = form_before_sending(user, draft, message, session.get(MessageBody, message.id) if message.id else None)
    _fill(message, user, account, draft, planned)
    session.add(message)
    session.flush()
    assert message.id is not None
    session.merge(MessageBody(message_id=message.id, html=draft.html, text=draft.text, raw=raw, recipients=form))
    _keep_attachments(session, message, draft)
    _add_deliveries(session, message, planned)
    _add_links(session, message, links or ())
    if message.in_reply_to:
        followed_up(session, message)
    announce(session, message.user_id, "message", message.public_id)
    return message


def _links(session: Session, context: AppContext, draft: Draft, raw: bytes) -> Sequence[FoundLink] | None:
    """The links of the message; None when they cannot be found out, which must not keep it from being sent."""
    try:
        return find_links(
            session, context, draft.html_parts or draft.html, draft.untracked_links, list_unsubscribe(raw)
        )
    except SQLAlchemyError:
        raise
    except Exception as error:
        log.error("the links of a message cannot be found (%s); it is sent untracked", type(error).__name__)
        return None


def _sending(session: Session, user: User, draft: Draft) -> Account | None:
    """The account it would go out by, if there is one."""
    try:
        return _account(session, user, draft)
    except SendError:
        return None


def _account(session: Session, user: User, draft: Draft) -> Account:
    mine = owned_rows(Account, user).order_by(col(Account.id))
    if draft.account_id is not None:
        mine = mine.where(Account.id == draft.account_id)
    account = session.exec(mine).first()
    if account is None and draft.account_id is not None:
        raise SendError(
            "account", "not_found", LocalizedText("This account does not exist any more. Choose another one.")
        )
    if account is None:
        raise SendError(
            "account",
            "none",
            LocalizedText("No account to send from. Connect your mail account in the settings first."),
        )
    return account


def _build(account: Account, draft: Draft, message_id: str) -> bytes:
    try:
        return build_message(
            NewMessage(
                sender=Mailbox(account.address, account.name),
                to=draft.to,
                cc=draft.cc,
                subject=draft.subject,
                html=strip_markers(draft.html) or None,
                text=draft.text or None,
                attachments=draft.attachments,
                message_id=message_id,
                date=max(draft.send_at or now(), now()),
                in_reply_to=draft.in_reply_to,
                references=draft.references,
            )
        )
    except ValueError as error:
        raise SendError(
            "message",
            "cannot_build",
            LocalizedText("This message cannot be put together: %(problem)s", problem=str(error)),
        ) from None


def _fill(message: Message, user: User, account: Account, draft: Draft, planned: Sequence[PlannedRecipient]) -> None:
    moment = now()
    leaves_at = _leaves_at(user, draft, moment)
    message.account_id = account.id
    message.from_address, message.from_name = account.address, account.name
    message.subject = draft.subject
    message.snippet = snippet_of(draft.html, draft.text)
    message.state = MessageState.SCHEDULED if draft.send_at and draft.send_at > moment else MessageState.QUEUED
    message.track_opens = user.track_opens if draft.track_opens is None else draft.track_opens
    message.track_links = user.track_links if draft.track_links is None else draft.track_links
    message.in_reply_to = draft.in_reply_to
    message.thread = draft.references[0] if draft.references else draft.in_reply_to or message.message_id
    message.follow_up_at = leaves_at + timedelta(days=draft.follow_up_days) if draft.follow_up_days else None
    message.send_at = message.listed_at = leaves_at
    message.names = ", ".join(map(_known_as, planned))[:300]
    message.has_attachments = any(not file.cid for file in draft.attachments)
    message.opens_tracked = sum(p.opens.on for p in planned)
    message.clicks_tracked = sum(p.clicks.on for p in planned)
    message.sent_copy = _sent_copy(account)


def _known_as(planned: PlannedRecipient) -> str:
    return planned.mailbox.name or (planned.recipient.name if planned.recipient else "") or planned.mailbox.address


def _leaves_at(user: User, draft: Draft, moment: datetime) -> datetime:
    if draft.send_at and draft.send_at > moment:
        return draft.send_at
    undo = user.undo_seconds if draft.undo_seconds is None else draft.undo_seconds
    return moment + timedelta(seconds=undo)


def _sent_copy(account: Account) -> str:
    if account.files_own_copy and not account.replaces_copy:
        return "provider"
    return "later" if account.imap_host else "none"


def _keep_attachments(session: Session, message: Message, draft: Draft) -> None:
    """Until it is handed over the message can become a draft again, so its files are kept beside it."""
    assert message.id is not None
    session.exec(delete(Attachment).where(col(Attachment.message_id) == message.id))
    for file in draft.attachments:
        session.add(
            Attachment(
                message_id=message.id,
                filename=file.filename[:255],
                content_type=file.content_type[:127],
                size=len(file.content),
                content=file.content,
                cid=file.cid,
            )
        )


def _add_deliveries(session: Session, message: Message, planned: Sequence[PlannedRecipient]) -> None:
    assert message.id is not None
    request(session, [one.mailbox.address for one in planned])
    for position, one in enumerate(planned):
        recipient = find_or_make(session, one.mailbox.address, one.mailbox.name)
        session.flush()
        assert recipient.id is not None
        session.add(
            Delivery(
                message_id=message.id,
                recipient_id=recipient.id,
                account_id=message.account_id,
                position=position,
                role=one.role,
                address=one.mailbox.address,
                name=one.mailbox.name or recipient.name,
                opens_on=one.opens.on,
                opens_rule=one.opens.rule,
                clicks_on=one.clicks.on,
                clicks_rule=one.clicks.rule,
                pack_version=one.pack_version,
                status=DeliveryStatus.QUEUED,
                next_try_at=message.send_at,
            )
        )


def _add_links(session: Session, message: Message, links: Sequence[FoundLink]) -> None:
    assert message.id is not None
    anybody = message.clicks_tracked > 0
    for link in links:
        session.add(
            TrackedLink(
                message_id=message.id,
                position=link.index,
                url=link.url,
                text=link.text[:500],
                tracked=link.tracked and anybody,
                reason=link.reason if not link.tracked else None if anybody else "nobody_tracked",
            )
        )


def cancel(session: Session, message: Message) -> None:
    """Takes back what was not handed over yet: the message is a draft again.

    Raises :class:`ActionError` ``conflict`` when some of it is already on its way, or nothing ever was.
    """
    deliveries = session.exec(select(Delivery).where(Delivery.message_id == message.id).with_for_update()).all()
    untouched = all(d.status == DeliveryStatus.QUEUED and d.tries == 0 for d in deliveries)
    if not deliveries or not untouched or _is_under_way(session, deliveries):
        raise ActionError("conflict", LocalizedText("Too late: the message has already been handed over."))
    _back_to_draft(session, message, deliveries)
    announce(session, message.user_id, "message", message.public_id)


def _is_under_way(session: Session, deliveries: Sequence[Delivery]) -> bool:
    """Whether one of them is being handed over. Asked when they are held: whoever claims one looks at it afterwards."""
    held = held_subjects(session, HANDED_OVER)
    return any(str(delivery.id) in held for delivery in deliveries)


def _back_to_draft(session: Session, message: Message, deliveries: Sequence[Delivery]) -> None:
    body = session.get_one(MessageBody, message.id)
    form = read_form(body) or {role: ", ".join(d.address for d in deliveries if d.role == role) for role in ROLES}
    _keep_submitted_files(session, message, body)
    if html := form.pop("html", ""):
        body.html, body.text = html, None
    message.subject = form.pop("subject", "") or message.subject
    message.snippet = snippet_of(body.html, body.text)
    body.recipients, body.raw = form_text(form), None
    session.exec(delete(TrackedLink).where(col(TrackedLink.message_id) == message.id))
    session.exec(delete(Delivery).where(col(Delivery.message_id) == message.id))
    message.state, message.listed_at, message.send_at = MessageState.DRAFT, now(), None
    message.opens_tracked = message.clicks_tracked = 0
    message.sent_copy, message.follow_up_at, message.follow_up_due_at = "none", None, None
    session.add_all([body, message])


def _keep_submitted_files(session: Session, message: Message, body: MessageBody) -> None:
    """A message that a mail program submitted has its files in itself alone; as a draft it has them beside it."""
    kept = session.exec(select(Attachment.id).where(Attachment.message_id == message.id)).first()
    if kept is None and message.has_attachments and body.raw:
        found = tuple(OutgoingFile(*file) for file in files(body.raw))
        _keep_attachments(session, message, Draft(attachments=found))
