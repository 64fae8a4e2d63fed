"""The journey of a send, from what was written to a committed queue. What follows is in :mod:`tracker.outbound.queue`.

Nothing is sent before this has committed, and nothing sent can be without a row.
"""

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import Session, col, delete

from tracker.mail.addresses import Address, domain_of
from tracker.mail.message_ids import new_id
from tracker.mail.mime.build import MessageContent, build_message
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
from tracker.models.rows import public_id
from tracker.notifications.notify import announce
from tracker.outbound.draft import Draft, SendError, check
from tracker.outbound.draft_form import form_before_sending
from tracker.outbound.message_links import find_links, snippet_of, strip_markers, strip_own_tracking, text_without_ours
from tracker.outbound.messages import followed_up
from tracker.outbound.policy import PlannedRecipient, PolicyQuestion, check_wishes, plan_policies
from tracker.outbound.rewriter.rewriting import FoundLink
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText

log = logging.getLogger(__name__)

_NEW_BODY, _NEW_DELIVERY, _NEW_LINK = insert(MessageBody), insert(Delivery), insert(TrackedLink)
_NEW_MESSAGE = insert(Message).returning(col(Message.id), col(Message.public_id))
_NEW_COLUMNS = {name: field.get_default() for name, field in Message.model_fields.items() if name != "id"}
"""What a new message begins with; its times and its name are made for each."""
_UNTRIED = {"frozen": False, "tries": 0, "reply": "", "opens": 0, "clicks": 0, "machine": 0}
"""Of a copy that nothing has happened to yet."""


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
    row = message or Message(user_id=user.id, message_id="")
    message_id = new_id(context.keyring, "m", row.public_id, domain_of(account.address))
    raw = _build(account, draft, message_id)
    links = links_of(session, context, draft, raw)
    return enqueue(session, context, Outgoing(user, account, draft, raw, message_id, links, row=row))


@dataclass(frozen=True)
class Outgoing:
    """A message that is put together: ``raw`` are its bytes, ``draft`` says what is in it.

    ``links`` is None when they cannot be found out. ``untouched`` is the rule by which no copy of it may be changed, if there is
    one. ``facts`` are columns of the message beside what follows from the draft.
    """

    user: User
    account: Account
    draft: Draft
    raw: bytes
    message_id: str
    links: Sequence[FoundLink] | None
    untouched: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    row: Message | None = None
    """The draft that it was, or a new row; one is made when there is none."""
    own: Set[str] | None = None
    """The person's own addresses in look-up form, where they are known already."""


def links_of(session: Session, context: AppContext, draft: Draft, raw: bytes) -> Sequence[FoundLink] | None:
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


def enqueue(session: Session, context: AppContext, outgoing: Outgoing) -> Message:
    """The second half of :func:`enqueue_composed`: policy, rows, queue."""
    (queued,) = enqueue_all(session, [outgoing], plan_all(session, context, [outgoing]))
    return outgoing.row or session.get_one(Message, queued.id)


@dataclass(frozen=True)
class QueuedMessage:
    """A message that was just taken into the queue, with the columns of its row."""

    id: int
    public_id: str
    columns: Mapping[str, Any]


def plan_all(session: Session, context: AppContext, outgoing: Sequence[Outgoing]) -> list[list[PlannedRecipient]]:
    """The policy of each. Nothing is written; what is forbidden later is looked at again before a copy leaves."""
    questions = [
        PolicyQuestion(
            each.user,
            each.draft,
            each.account,
            each.untouched or (None if each.links is not None else "rewriting_failed"),
            each.own,
        )
        for each in outgoing
    ]
    return plan_policies(session, context, questions)


def enqueue_all(
    session: Session, outgoing: Sequence[Outgoing], plans: Sequence[Sequence[PlannedRecipient]]
) -> list[QueuedMessage]:
    """The rows of messages whose policy is planned: those of a kind by one statement, however many messages there are."""
    drafts = [_body_of_draft(session, each) for each in outgoing]
    forms = [_form(each, body) for each, body in zip(outgoing, drafts, strict=True)]
    messages = _add_messages(session, outgoing, plans)
    new: list[dict[str, Any]] = []
    for message, each, draft, form in zip(messages, outgoing, drafts, forms, strict=True):
        body = {"html": each.draft.html, "text": each.draft.text, "raw": each.raw, "recipients": form}
        if draft is None:
            new.append({"message_id": message.id, **body})
        else:
            session.add(draft.sqlmodel_update(body))
        keep_attachments(session, message.id, each.draft, was_draft=draft is not None)
    if new:
        session.connection().execute(_NEW_BODY, new)
    _add_deliveries(session, list(zip(messages, plans, strict=True)))
    _add_links(session, [(message, each.links or ()) for message, each in zip(messages, outgoing, strict=True)])
    for message in messages:
        if message.columns["in_reply_to"]:
            followed_up(session, message.columns["user_id"], message.columns["thread"])
    hints: dict[int, list[str]] = defaultdict(list)
    for message in messages:
        hints[message.columns["user_id"]].append(message.public_id)
    for user_id, public_ids in hints.items():
        announce(session, user_id, "message", *public_ids)
    return messages


def _add_messages(
    session: Session, outgoing: Sequence[Outgoing], plans: Sequence[Sequence[PlannedRecipient]]
) -> list[QueuedMessage]:
    """Rows that are there are filled; new ones, which may be many, are inserted past the ORM."""
    columns = [_columns_of(each, planned) for each, planned in zip(outgoing, plans, strict=True)]
    names = [each.row.public_id if each.row else public_id() for each in outgoing]
    for each, values in zip(outgoing, columns, strict=True):
        if each.row is not None:
            for name, value in values.items():
                setattr(each.row, name, value)
            session.add(each.row)
    session.flush()
    ids = {each.row.public_id: each.row.id for each in outgoing if each.row}
    made = [
        {**_NEW_COLUMNS, "public_id": name, "created_at": now(), **values}
        for name, values in zip(names, columns, strict=True)
        if name not in ids
    ]
    if made:
        ids.update((name, id_ or 0) for id_, name in session.connection().execute(_NEW_MESSAGE, made))
    return [QueuedMessage(ids[name], name, values) for name, values in zip(names, columns, strict=True)]


def _body_of_draft(session: Session, outgoing: Outgoing) -> MessageBody | None:
    return session.get(MessageBody, outgoing.row.id) if outgoing.row is not None and outgoing.row.id else None


def _form(outgoing: Outgoing, body: MessageBody | None) -> str:
    """As it was before the row of the draft is filled."""
    return form_before_sending(outgoing.user, outgoing.draft, outgoing.row, body)


def _account(session: Session, user: User, draft: Draft) -> Account:
    mine = owned_rows(Account, user).order_by(col(Account.id))
    if draft.account_id is not None:
        mine = mine.where(Account.id == draft.account_id)
    account = session.exec(mine).first()
    if account is None and draft.account_id is not None:
        raise SendError(
            "account", "not_found", LocalizedText("This address is no longer connected. Choose another one.")
        )
    if account is None:
        raise SendError(
            "account",
            "none",
            LocalizedText("There is no address to send from. Connect your e-mail first."),
        )
    return account


def _build(account: Account, draft: Draft, message_id: str) -> bytes:
    try:
        return build_message(
            MessageContent(
                sender=Address(account.address, account.name),
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


def _columns_of(outgoing: Outgoing, planned: Sequence[PlannedRecipient]) -> dict[str, Any]:
    user, account, draft, moment = outgoing.user, outgoing.account, outgoing.draft, now()
    leaves_at = _leaves_at(user, draft, moment)
    is_scheduled = draft.send_at is not None and draft.send_at > moment
    row = outgoing.row
    return {
        "user_id": row.user_id if row is not None else user.id,
        "message_id": outgoing.message_id,
        "account_id": account.id,
        "from_address": account.address,
        "from_name": account.name,
        "subject": draft.subject,
        "snippet": snippet_of(draft.html, draft.text),
        "state": (MessageState.SCHEDULED if is_scheduled else MessageState.QUEUED).value,
        "track_opens": user.track_opens if draft.track_opens is None else draft.track_opens,
        "track_links": user.track_links if draft.track_links is None else draft.track_links,
        "in_reply_to": draft.in_reply_to,
        "thread": draft.references[0] if draft.references else draft.in_reply_to or outgoing.message_id,
        "follow_up_at": leaves_at + timedelta(days=draft.follow_up_days) if draft.follow_up_days else None,
        "send_at": leaves_at,
        "listed_at": leaves_at,
        "names": ", ".join(map(_known_as, planned))[:300],
        "has_attachments": any(not file.cid for file in draft.attachments),
        "opens_tracked": sum(p.opens.on for p in planned),
        "clicks_tracked": sum(p.clicks.on for p in planned),
        "sent_copy": _sent_copy(account),
        **outgoing.facts,
    }


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


def keep_attachments(session: Session, message_id: int, draft: Draft, *, was_draft: bool) -> None:
    """Until it is handed over the message can become a draft again, so its files are kept beside it."""
    if was_draft:
        session.exec(delete(Attachment).where(col(Attachment.message_id) == message_id))
    for file in draft.attachments:
        session.add(
            Attachment(
                message_id=message_id,
                filename=file.filename[:255],
                content_type=file.content_type[:127],
                size=len(file.content),
                content=file.content,
                cid=file.cid,
            )
        )


def _add_deliveries(session: Session, planned: Sequence[tuple[QueuedMessage, Sequence[PlannedRecipient]]]) -> None:
    everybody = [recipient for _, recipients in planned for recipient in recipients]
    if unasked := [recipient.mailbox.address for recipient in everybody if not recipient.is_domain_asked]:
        request(session, unasked)
        session.flush()
    rows = [
        _delivery(session, message, position, recipient)
        for message, recipients in planned
        for position, recipient in enumerate(recipients)
    ]
    session.connection().execute(_NEW_DELIVERY, rows)


def _delivery(session: Session, message: QueuedMessage, position: int, planned: PlannedRecipient) -> dict[str, Any]:
    mailbox, recipient = planned.mailbox, planned.recipient
    if recipient is None or (mailbox.name and not recipient.name):
        recipient = find_or_make(session, mailbox.address, mailbox.name)
        session.flush()
    return {
        "public_id": public_id(),
        "message_id": message.id,
        "recipient_id": recipient.id,
        "account_id": message.columns["account_id"],
        "position": position,
        "role": planned.role,
        "address": mailbox.address,
        "name": mailbox.name or recipient.name,
        "opens_on": planned.opens.on,
        "opens_rule": planned.opens.rule,
        "clicks_on": planned.clicks.on,
        "clicks_rule": planned.clicks.rule,
        "pack_version": planned.pack_version,
        "status": DeliveryStatus.QUEUED.value,
        "next_try_at": message.columns["send_at"],
        **_UNTRIED,
    }


def _add_links(session: Session, reported: Sequence[tuple[QueuedMessage, Sequence[FoundLink]]]) -> None:
    rows = [_link(message, link) for message, links in reported for link in links]
    if rows:
        session.connection().execute(_NEW_LINK, rows)


def _link(message: QueuedMessage, link: FoundLink) -> dict[str, Any]:
    anybody = message.columns["clicks_tracked"] > 0
    return {
        "message_id": message.id,
        "position": link.index,
        "url": link.url,
        "text": link.text[:500],
        "tracked": link.tracked and anybody,
        "reason": link.reason if not link.tracked else None if anybody else "nobody_tracked",
        "clicks": 0,
    }
