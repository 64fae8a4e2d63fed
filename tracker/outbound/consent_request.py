"""Mail that carries its recipient's own link: the question whether we may measure, and the way to one's own page.

Such mail is never tracked. Its link is put into the copy at hand-over, so neither the row nor the Sent copy holds one.
"""

import html as entities
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import Session, col, select

from tracker.consent.ledger import consent_of, record_consent
from tracker.consent.notice import NOTICE, VERSION, controller, notice
from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_url
from tracker.consent.rules import MEASURED, ConsentError, ConsentState, Proof
from tracker.locale import _, use_locale
from tracker.mail.addresses import Address
from tracker.mail.mime.build import MessageContent, build_message
from tracker.models import Account, Delivery, Message, MessageBody, Recipient, User
from tracker.outbound.draft import Draft, SendError
from tracker.outbound.draft_form import written_mailboxes
from tracker.outbound.send import enqueue_composed
from tracker.recipients import find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import N_, LocalizedText

PLACE = "https://link.invalid/yours"
"""Stands in the row where each copy has its own link."""
OWN_LINK_PAUSE = timedelta(hours=1)


@dataclass(frozen=True)
class RequestOutcome:
    """One person who was to be asked: the message on its way, or the sentence why not."""

    address: str
    message: Message | None = None
    problem: str = ""


def ask(
    session: Session,
    context: AppContext,
    user: User,
    people: Sequence[Address],
    language: str,
    account_id: int | None = None,
) -> list[RequestOutcome]:
    """Asks each of these people by a mail of their own. Raises :class:`SendError` when nothing can be sent at all."""
    return [_ask_one(session, context, user, person, language, account_id) for person in people]


def _ask_one(
    session: Session, context: AppContext, user: User, mailbox: Address, language: str, account_id: int | None
) -> RequestOutcome:
    recipient = find_or_make(session, mailbox.address, mailbox.name)
    session.flush()
    states = consent_of(session, [recipient.id])[recipient.id]
    wanted = [purpose for purpose in MEASURED if states[purpose] not in (ConsentState.GRANTED, ConsentState.BLOCKED)]
    if recipient.never_track or not wanted or any(states[purpose] in _NOT_ASKED for purpose in wanted):
        return RequestOutcome(mailbox.address, problem=_why_not(recipient, [states[purpose] for purpose in MEASURED]))
    shown = notice(session, context, language)
    draft = _question(session, context, user, mailbox, language, account_id)
    try:
        with session.begin_nested():
            message = enqueue_composed(session, context, user, draft)
            message.personal_link = "ask"
            proof = Proof(
                notice=NOTICE,
                notice_version=VERSION,
                notice_language=language,
                shown=shown.text,
                question=shown.question,
                request_message_id=message.message_id,
            )
            for purpose in wanted:
                record_consent(
                    session,
                    recipient,
                    purpose,
                    ConsentState.ASKED,
                    actor=f"user:{user.id}",
                    channel="consent_mail_page",
                    proof=proof,
                )
    except ConsentError as error:
        return RequestOutcome(mailbox.address, problem=error.sentence)
    return RequestOutcome(mailbox.address, message)


_NOT_ASKED: Mapping[ConsentState, str] = {
    ConsentState.BLOCKED: N_("must never be asked"),
    ConsentState.OBJECTED: N_("has objected and is not asked again"),
    ConsentState.ASKED: N_("was asked already and has not answered yet"),
}


def _why_not(recipient: Recipient, states: Sequence[ConsentState]) -> str:
    if recipient.never_track and ConsentState.BLOCKED not in states:
        return LocalizedText("is on the never-track list")
    reasons = (text for state, text in _NOT_ASKED.items() if state in states)
    reason = next(reasons, N_("has agreed already"))
    return LocalizedText(reason)


def _question(
    session: Session, context: AppContext, user: User, to: Address, language: str, account_id: int | None
) -> Draft:
    with use_locale(language):
        hello = _("Hello %(name)s,", name=to.name) if to.name else _("Hello,")
        lines = [
            hello,
            _(
                "I would like to know whether my messages reach you and which links in them are of use to you. I"
                " see neither unless you agree."
            ),
            _("Please say yes or no on this page; it takes a moment, and no is as good an answer:"),
            PLACE,
            _("This message itself is not measured. If you do not answer, nothing is."),
            f"{user.name}\n{controller(session, context).name}",
        ]
        return _draft(to, _("May I see whether my messages reach you?"), lines, account_id)


def send_own_link(session: Session, context: AppContext, recipient: Recipient, language: str) -> bool:
    """Mails a recipient the link to their whole page, by the account that wrote to them last.

    Returns False when there is none to send by, or when one was sent within the last hour.
    """
    latest = _latest(session, recipient)
    if latest is None or recipient.erased_at is not None or _sent_lately(session, recipient):
        return False
    delivery, message = latest
    user = session.get_one(User, message.user_id)
    with use_locale(language):
        lines = [
            _("Hello,"),
            _(
                "by this link you see everything that is held about you, change what may be measured, and "
                "download it. It is good for a week; please do not pass it on."
            ),
            PLACE,
            _(
                "Somebody asked for it on the page under a message of ours. If that was not you, you need not do anything."
            ),
            controller(session, context).name,
        ]
        draft = _draft(Address(delivery.address), _("Your page"), lines, message.account_id)
    try:
        with session.begin_nested():
            made = enqueue_composed(session, context, user, draft)
            made.personal_link = "own"
    except SendError:
        return False
    return True


def _latest(session: Session, recipient: Recipient) -> tuple[Delivery, Message] | None:
    usable = select(Account.id).where(col(Account.removed_at).is_(None))
    query = (
        select(Delivery, Message)
        .join(Message, col(Message.id) == col(Delivery.message_id))
        .where(Delivery.recipient_id == recipient.id, Delivery.address != "", col(Message.account_id).in_(usable))
        .order_by(col(Message.id).desc())
    )
    return session.exec(query).first()


def _sent_lately(session: Session, recipient: Recipient) -> bool:
    query = (
        select(Message.id)
        .join(Delivery, col(Delivery.message_id) == col(Message.id))
        .where(
            Delivery.recipient_id == recipient.id,
            Message.personal_link == "own",
            Message.created_at > now() - OWN_LINK_PAUSE,
        )
    )
    return session.exec(query).first() is not None


def _draft(to: Address, subject: str, lines: Sequence[str], account_id: int | None) -> Draft:
    """Text and HTML of the same words, neither of them tracked."""
    paragraphs = [
        f'<p><a href="{PLACE}">{PLACE}</a></p>'
        if line == PLACE
        else f"<p>{entities.escape(line).replace(chr(10), '<br>')}</p>"
        for line in lines
    ]
    return Draft(
        account_id=account_id,
        to=(to,),
        subject=subject,
        html=f"<html><body>{''.join(paragraphs)}</body></html>",
        text="\n\n".join(lines) + "\n",
        track_opens=False,
        track_links=False,
        undo_seconds=0,
    )


def personal_copy(
    session: Session, context: AppContext, message: Message, body: MessageBody, delivery: Delivery
) -> bytes:
    """The copy of such a message with its recipient's own link in place; everything else as in the row."""
    kind = LinkKind.ASK if message.personal_link == "ask" else LinkKind.OWN
    recipient = session.get_one(Recipient, delivery.recipient_id)
    url = preference_url(context, PreferenceLink(kind, recipient.public_id, delivery.public_id, now().date()))
    return build_message(
        MessageContent(
            sender=Address(message.from_address, message.from_name),
            to=tuple(written_mailboxes(body, "to", [delivery.address])),
            subject=message.subject,
            message_id=message.message_id,
            date=message.send_at or now(),
            html=(body.html or "").replace(PLACE, url),
            text=(body.text or "").replace(PLACE, url),
            headers=(("Auto-Submitted", "auto-generated"),) if kind == LinkKind.OWN else (),
        )
    )
