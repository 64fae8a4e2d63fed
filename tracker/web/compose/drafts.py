"""Drafts: what stands in the compose form, kept in the row and turned into a message to send. Nothing typed is ever lost."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import make_msgid
from zoneinfo import ZoneInfo

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, delete, select
from starlette.datastructures import FormData, UploadFile

from tracker.crm.access import find_letter_or_none
from tracker.locale import _
from tracker.locale.written_days import as_iso
from tracker.mail.addresses import Address, read_list
from tracker.models import Account, Attachment, Letter, Message, MessageBody, Template, User
from tracker.models.ownership import find_owned
from tracker.models.rows import public_id
from tracker.outbound.accounts import accounts_of
from tracker.outbound.draft import Draft, OutgoingFile, SendError, check_attachment_sizes, check_send_at
from tracker.outbound.draft_form import ROLES, form_text, read_form
from tracker.outbound.message_links import snippet_of
from tracker.outbound.placeholders import NAMES
from tracker.outbound.rich_text import formatted, plain, without_scripts
from tracker.outbound.templates import find_usable
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText
from tracker.runtime.values import whole_number

MOST_REFERENCES = 20
MOST_NAMED = 20
"""Addresses that one sentence names."""
_FORM_KEY = re.compile(r"[A-Za-z0-9_-]{11}")


@dataclass(frozen=True)
class ComposeForm:
    """The compose form as it stands, bad addresses and all. ``html`` is the formatted text, ``text`` the plain box."""

    account: str = ""
    to: str = ""
    cc: str = ""
    bcc: str = ""
    subject: str = ""
    html: str = ""
    text: str = ""
    track_opens: bool = False
    track_links: bool = False
    leave: frozenset[str] = field(default_factory=frozenset)
    """Links that are not to be tracked."""
    send_at: str = ""
    """As a ``datetime-local`` field writes it, in the person's zone."""
    follow_up_days: int = 0
    reply: str = ""
    """Public id of the message that this one answers; ``letter:`` and that of a letter when it answers one."""
    template: str = ""
    """Public id of the template that it began with."""
    placeholders: frozenset[str] = field(default_factory=frozenset)
    """Names that templates put into the text, and into the subject as ``subject:`` and the name; all other braces are words."""
    typing: str = ""
    """What is just being typed in a field of addresses: no address yet, and not wrong for that."""
    fill: Mapping[str, str] = field(default_factory=dict)
    """What was typed for placeholders that have no value of their own."""

    @classmethod
    def from_form(cls, form: FormData) -> "ComposeForm":
        """The editor sends ``html`` and says so in ``format``; without scripts ``text`` counts, unless it was left as it was."""
        html, text = _text(form, "html"), _text(form, "text").replace("\r\n", "\n")
        if _text(form, "format") != "html" and text.strip() != plain(html).strip():
            html = formatted(text)
        return cls(
            account=_text(form, "account"),
            to=_text(form, "to"),
            cc=_text(form, "cc"),
            bcc=_text(form, "bcc"),
            subject=" ".join(_text(form, "subject").split()),
            html=without_scripts(html),
            text=text,
            track_opens="track_opens" in form,
            track_links="track_links" in form,
            leave=frozenset(str(url) for url in form.getlist("leave")),
            send_at=_text(form, "send_at"),
            follow_up_days=min(whole_number(_text(form, "follow_up_days"), 999) or 0, 365),
            reply=_text(form, "reply"),
            template=_text(form, "template"),
            placeholders=frozenset(_text(form, "placeholders").split()),
            typing=_text(form, "typing"),
            fill={name: value for name in NAMES if (value := _text(form, f"fill_{name}")[:200])},
        )


def read_draft(session: Session, message: Message, zone: str) -> ComposeForm:
    """The form as it was left."""
    body = session.get(MessageBody, message.id) or MessageBody(message_id=message.id)
    form = read_form(body)
    account = session.get(Account, message.account_id) if message.account_id else None
    html = body.html or formatted(body.text or "")
    return ComposeForm(
        account=account.public_id if account else "",
        to=str(form.get("to", "")),
        cc=str(form.get("cc", "")),
        bcc=str(form.get("bcc", "")),
        subject=message.subject,
        html=html,
        text=plain(html),
        track_opens=message.track_opens,
        track_links=message.track_links,
        leave=frozenset(str(url) for url in form.get("leave", ())),
        send_at=str(form.get("send_at", "")),
        follow_up_days=int(form.get("follow_up_days", 0)),
        reply=str(form.get("reply", "")),
        template=_template_of(session, message),
        placeholders=frozenset(str(name) for name in form.get("placeholders", ())),
        fill=dict(form.get("fill") or {}),
    )


def made_by(session: Session, user: User, key: str) -> Message | None:
    """The message that a form with this key has made; None when there is none yet."""
    return find_owned(session, Message, user, key) if _FORM_KEY.fullmatch(key) else None


def new_or_made_by(session: Session, user: User, key: str) -> Message:
    """The message of the form with this key, a new row for the first one: of two that post it at once the second finds it."""
    if (earlier := made_by(session, user, key)) is not None:
        return earlier
    try:
        with session.begin_nested():
            message = Message(user_id=user.id, message_id="")
            message.public_id = key if _FORM_KEY.fullmatch(key) else message.public_id
            session.add(message)
        return message
    except IntegrityError:
        return made_by(session, user, key) or new_or_made_by(session, user, public_id())


def is_blank(typed: ComposeForm) -> bool:
    """Whether nobody wrote anything: a signature and a quoted text alone are no draft."""
    written = without_signature(typed.html)
    heads = (typed.to, typed.cc, typed.bcc, typed.subject, typed.send_at)
    return not any(heads) and not plain(written).strip() and "<img" not in written.lower()


def without_signature(html: str) -> str:
    """The text alone: neither signature nor quoted text."""
    return _SIGNED.sub("", html)


_SIGNED = re.compile(r"""(?:<div><br></div>)?<div class="signature">.*|<blockquote type="cite">.*""", re.DOTALL)


def says_the_same(session: Session, typed: ComposeForm, message: Message) -> bool:
    """Whether the form is the one that was sent as this message: then it is the same form once more."""
    body = session.get(MessageBody, message.id)
    form = read_form(body)
    html, subject = form.pop("html", None) or (body.html if body else ""), form.pop("subject", "") or message.subject
    return (form_text(form), html, subject) == (_keep(typed), typed.html, typed.subject)


def save_draft(session: Session, user: User, typed: ComposeForm, message: Message) -> Message:
    """Writes the form into its row."""
    account = account_of(session, user, typed.account)
    if not message.message_id:
        message.message_id = make_msgid(domain=account.address.rpartition("@")[2] if account else "localhost")
    message.account_id = account.id if account else None
    message.subject, message.snippet = typed.subject[:500], snippet_of(typed.html, None)[:300]
    message.names = ", ".join(
        mailbox.name or mailbox.address for role in ROLES for mailbox in readable(getattr(typed, role))
    )[:300]
    message.track_opens, message.track_links = typed.track_opens, typed.track_links
    message.listed_at = now()
    message.template_id = _template_id(session, user, typed)
    _answer(session, user, typed, message)
    session.add(message)
    session.flush()
    session.merge(MessageBody(message_id=message.id, html=typed.html, text=None, recipients=_keep(typed)))
    return message


def discard(session: Session, message: Message) -> None:
    for table in (Attachment, MessageBody):
        session.exec(delete(table).where(col(table.message_id) == message.id))
    session.delete(message)


def to_send(session: Session, user: User, typed: ComposeForm, message: Message, files: Sequence[Attachment]) -> Draft:
    """The message to send with these files. Raises :class:`SendError` naming the field that is wrong."""
    account = account_of(session, user, typed.account)
    text = plain(typed.html)
    html = typed.html if text.strip() or "<img" in typed.html.lower() else None
    return Draft(
        account_id=account.id if account else None,
        to=mailboxes("to", typed.to),
        cc=mailboxes("cc", typed.cc),
        bcc=mailboxes("bcc", typed.bcc),
        subject=typed.subject,
        html=html,
        text=text if html else None,
        attachments=tuple(OutgoingFile(f.filename, f.content_type, f.content, f.cid) for f in files),
        track_opens=typed.track_opens,
        track_links=typed.track_links,
        untracked_links=typed.leave,
        send_at=moment_of(typed.send_at, user.timezone),
        in_reply_to=message.in_reply_to,
        references=_references(session, user, typed, message),
        follow_up_days=typed.follow_up_days or None,
    )


def mailboxes(role: str, text: str) -> tuple[Address, ...]:
    """Raises :class:`SendError` for an address that cannot be used."""
    written = read_list(text)
    if len(written.unusable) > 1:
        addresses = ", ".join(f"“{piece}”" for piece, _error in written.unusable[:MOST_NAMED])
        raise SendError(
            role, "address", LocalizedText("These are no e-mail addresses: %(addresses)s.", addresses=addresses)
        )
    for _piece, error in written.unusable:
        raise SendError(role, error.code, error.sentence)
    return written.mailboxes


def readable(text: str) -> Sequence[Address]:
    """The mailboxes in what was typed so far; what is not an address (yet) is passed over."""
    return read_list(text).mailboxes


def moment_of(text: str, zone: str) -> datetime | None:
    """When to send. Raises :class:`SendError` for a time that is none, or is past."""
    if not text:
        return None
    try:
        at = datetime.fromisoformat(as_iso(text)).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise SendError(
            "send_at", "not_a_time", _("This is not a time. Choose a day and an hour, or leave it empty.")
        ) from None
    check_send_at(at)
    return at


def account_of(session: Session, user: User, public_id: str) -> Account | None:
    return chosen_account(accounts_of(session, user), public_id)


def chosen_account(accounts: Sequence[Account], public_id: str) -> Account | None:
    """The account chosen, else the person's first."""
    return next((account for account in accounts if account.public_id == public_id), accounts[0] if accounts else None)


def files_of_draft(session: Session, message: Message) -> Sequence[Attachment]:
    """Everything kept with it: what is attached, and the pictures of its text."""
    query = select(Attachment).where(Attachment.message_id == message.id).order_by(col(Attachment.id))
    return session.exec(query).all()


def attach(session: Session, message: Message, uploads: Sequence[UploadFile]) -> None:
    """Keeps files in the draft. Raises :class:`SendError` when they are too large together; then none is kept."""
    files = files_of_draft(session, message)
    there = {(file.filename, file.content) for file in files}
    check_attachment_sizes([*(f.size for f in files), *(u.size or 0 for u in uploads)])
    for upload in uploads:
        content = upload.file.read()
        if (_file_name(upload.filename or ""), content) in there:
            continue  # the same form once more
        session.add(
            Attachment(
                message_id=message.id,
                filename=_file_name(upload.filename or ""),
                content_type=(upload.content_type or "application/octet-stream")[:127],
                size=len(content),
                content=content,
            )
        )
    message.has_attachments = bool(uploads) or any(not file.cid for file in files)
    session.add(message)


def detach(session: Session, message: Message, public_id: str) -> None:
    """Takes a file out of the draft; one that is not there is out already."""
    mine = (col(Attachment.message_id) == message.id) & (col(Attachment.public_id) == public_id)
    session.exec(delete(Attachment).where(mine))
    message.has_attachments = any(not file.cid for file in files_of_draft(session, message))
    session.add(message)


def _template_of(session: Session, message: Message) -> str:
    template = session.get(Template, message.template_id) if message.template_id else None
    return template.public_id if template else ""


def _template_id(session: Session, user: User, typed: ComposeForm) -> int | None:
    template = find_usable(session, user, typed.template)
    return template.id if template else None


def _answer(session: Session, user: User, typed: ComposeForm, message: Message) -> None:
    letter = answered_letter(session, user, typed.reply)
    if letter is not None and letter.message_id:
        ids = letter_ids(letter)
        message.in_reply_to, message.thread = ids[-1], _thread(session, letter) or ids[0]
    original = find_owned(session, Message, user, typed.reply) if typed.reply and letter is None else None
    if original is not None:
        message.in_reply_to, message.thread = original.message_id, original.thread or original.message_id


def _references(session: Session, user: User, typed: ComposeForm, message: Message) -> tuple[str, ...]:
    """The conversation so far, its root first (RFC 5322 section 3.6.4)."""
    if not message.in_reply_to:
        return ()
    letter = answered_letter(session, user, typed.reply)
    between = letter_ids(letter) if letter is not None else ()
    return tuple(dict.fromkeys(r for r in (message.thread, *between, message.in_reply_to) if r))


def answered_letter(session: Session, user: User, reply: str) -> Letter | None:
    """The letter of one's own that a reply is to; None when it answers a message, or nothing."""
    kind, _colon, public_id = reply.partition(":")
    return find_letter_or_none(session, user, public_id) if kind == "letter" else None


def letter_ids(letter: Letter) -> tuple[str, ...]:
    """The Message-IDs of the letter's conversation in angle brackets, its own last; over-long ones left out."""
    known = [*(letter.references or ())[-MOST_REFERENCES:], letter.message_id]
    return tuple(f"<{id_}>" for id_ in known if id_ and len(id_) <= 250)


def _thread(session: Session, letter: Letter) -> str:
    """The conversation of our own message that the letter answers; empty when it answers none."""
    answers = session.get(Message, letter.in_reply_to_message_id) if letter.in_reply_to_message_id else None
    return (answers.thread or answers.message_id) if answers else ""


def _file_name(name: str) -> str:
    bare = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in bare if c >= " ")[-255:] or "file"


def _keep(typed: ComposeForm) -> str:
    more = {
        "send_at": typed.send_at,
        "follow_up_days": typed.follow_up_days,
        "reply": typed.reply,
        "leave": sorted(typed.leave),
        "placeholders": sorted(typed.placeholders),
        "fill": dict(typed.fill),
    }
    return form_text({**{role: getattr(typed, role) for role in ROLES}, **more})


def _text(form: FormData, name: str) -> str:
    value = form.get(name)
    return value.replace("\0", "").strip() if isinstance(value, str) else ""
