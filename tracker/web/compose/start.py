"""What a new message begins with: the person's own choices and signature, or the message it answers."""

import html as entities
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from babel.dates import format_datetime
from sqlmodel import Session, col, select

from tracker.consent.rules import Ceiling, Purpose
from tracker.crm.binding import BindingRule
from tracker.crm.customers import addresses_of
from tracker.locale import _, babel_locale, zone
from tracker.mail.addresses import Address, answerable
from tracker.mail.safe_html import clean, with_own_pictures, without_remote_images
from tracker.models import Account, Delivery, Letter, LetterBinding, LetterBody, Message, MessageBody, Template, User
from tracker.models import Mailbox as IncomingMailbox
from tracker.models.ownership import owned_rows
from tracker.outbound.draft_form import written_mailboxes
from tracker.outbound.placeholders import used, used_in_html
from tracker.outbound.rich_text import formatted, plain
from tracker.web.compose.drafts import ComposeForm, account_of, without_signature
from tracker.web.messages.sent_parts import pictures_of


def blank(session: Session, user: User) -> ComposeForm:
    """An empty message with the signature, and the switches as they were last set."""
    html = signature_html(signature_of(user, account_of(session, user, "")))
    return ComposeForm(html=html, text=plain(html), track_opens=user.track_opens, track_links=user.track_links)


def apply_operator_limit(ceiling: Ceiling, typed: ComposeForm) -> ComposeForm:
    """What a new message begins with asks for no more than the operator allows."""
    opens, links = ceiling.allows(Purpose.OPENS), ceiling.allows(Purpose.CLICKS)
    return replace(typed, track_opens=typed.track_opens and opens, track_links=typed.track_links and links)


def with_template(typed: ComposeForm, template: Template) -> ComposeForm:
    """The template's words above what is there; its subject where there is none yet."""
    html = template.html + typed.html
    names = {*typed.placeholders, *used_in_html(template.html)}
    if not typed.subject:
        names |= {f"subject:{name}" for name in used(template.subject)}
    return replace(
        typed,
        subject=typed.subject or template.subject,
        html=html,
        text=plain(html),
        template=template.public_id,
        placeholders=frozenset(names),
    )


def as_template(typed: ComposeForm, user: User) -> Template:
    """What was written, without signature and quoted text, as a template of this person's."""
    html = without_signature(typed.html)
    name = (typed.subject or " ".join(plain(html).split()) or _("Template"))[:100]
    return Template(user_id=user.id, name=name, subject=typed.subject[:500], html=html)


def signature_of(user: User, account: Account | None) -> str:
    """The account's own signature, else the person's."""
    return (account.signature if account else "") or user.signature


def answer_to(session: Session, user: User, original: Message) -> ComposeForm:
    """Another message in the same conversation: to the same people, quoting what was written."""
    deliveries = session.exec(
        select(Delivery).where(Delivery.message_id == original.id).order_by(col(Delivery.position))
    ).all()
    body = session.get(MessageBody, original.id)
    account = session.get(Account, original.account_id) if original.account_id else None
    signature = signature_html(signature_of(user, account))
    html = "<div><br></div>" + signature + _quoted(original, body)
    return ComposeForm(
        account=account.public_id if account else "",
        to=_addresses(body, deliveries, "to"),
        cc=_addresses(body, deliveries, "cc"),
        subject=reply_subject(original.subject),
        html=html,
        text=plain(html),
        track_opens=user.track_opens,
        track_links=user.track_links,
        reply=original.public_id,
    )


def answer_to_letter(session: Session, user: User, letter: Letter) -> ComposeForm:
    """An answer to somebody who wrote to us: to them, from the account of the address they wrote to, quoting what they wrote. Where
    a colleague handed the letter on and it was bound by hand, to the customer."""
    account = _account_for(session, user, letter)
    signature = signature_html(signature_of(user, account or account_of(session, user, "")))
    html = "<div><br></div>" + signature + _quoted_letter(letter, session.get(LetterBody, letter.id))
    to = str(
        Address(answerable(letter.reply_to or letter.sender_address), "" if letter.reply_to else letter.sender_name)
    )
    return ComposeForm(
        account=account.public_id if account else "",
        to=forwarded_from(session, letter) or to,
        subject=reply_subject(letter.subject),
        html=html,
        text=plain(html),
        track_opens=user.track_opens,
        track_links=user.track_links,
        reply=f"letter:{letter.public_id}",
    )


def forwarded_from(session: Session, letter: Letter) -> str:
    """The address of the customer whom somebody named for a letter that was handed on; empty for any other letter."""
    binding = session.get(LetterBinding, letter.id) if "forwarded" in letter.flags else None
    if binding is None or binding.customer_id is None or "sender_differs" not in binding.flags:
        return ""
    rows = addresses_of(session, [binding.customer_id]).get(binding.customer_id, [])
    return rows[0].address if binding.rule == BindingRule.BY_HAND and rows else ""


def _account_for(session: Session, user: User, letter: Letter) -> Account | None:
    """The account that writes from the address they wrote to, else that of the mailbox; None for the person's first."""
    mailbox = session.get_one(IncomingMailbox, letter.mailbox_id)
    accounts = {account.address.lower(): account for account in session.exec(owned_rows(Account, user))}
    return accounts.get(letter.recipient) or accounts.get(mailbox.address.lower())


def _quoted_letter(letter: Letter, body: LetterBody | None) -> str:
    """Cleaned, and without its pictures from elsewhere: the editor would load them."""
    written = without_remote_images(clean(body.html)) if body and body.html else formatted(body.text if body else "")
    return _quote(letter.received_at, letter.sender_name or letter.sender_address, written)


def reply_subject(subject: str) -> str:
    """One Re: and no more (RFC 5322 section 3.6.5)."""
    bare = subject.strip()
    while bare[:3].lower() == "re:":
        bare = bare[3:].strip()
    return f"Re: {bare}"


def signature_html(signature: str) -> str:
    """The signature under the customary two dashes, as HTML; it may be plain text or HTML."""
    inner = signature_inner(signature)
    return f'<div><br></div><div class="signature"><div>-- </div>{inner}</div>' if inner else ""


def signature_inner(signature: str) -> str:
    """The signature alone as HTML."""
    if not signature.strip():
        return ""
    return signature if "</" in signature or "<img" in signature else formatted(signature.strip())


def _quoted(original: Message, body: MessageBody | None) -> str:
    written = (body.html or formatted(body.text or "")) if body else ""
    if "cid:" in written:
        written = with_own_pictures(written, pictures_of(body))
    return _quote(original.sent_at or original.listed_at, original.from_name or original.from_address, written)


def _quote(when: datetime, who: str, written: str) -> str:
    at = format_datetime(when.astimezone(zone()), "medium", locale=babel_locale())
    head = _("On %(at)s %(who)s wrote:", at=at, who=who)
    return f'<div><br></div><div>{entities.escape(head)}</div><blockquote type="cite">{written}</blockquote>'


def _addresses(body: MessageBody | None, deliveries: Sequence[Delivery], role: str) -> str:
    return ", ".join(map(str, written_mailboxes(body, role, [d.address for d in deliveries if d.role == role])))
