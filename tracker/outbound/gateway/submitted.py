"""Accepting a message that a mail program has written: its bytes stay, what it says about itself is read.

The clean message keeps every byte but our control header and Bcc (RFC 6409 section 8: Message-ID and Date are added when missing).
"""

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import timedelta
from email.utils import format_datetime, make_msgid

from sqlalchemy import bindparam
from sqlmodel import Session, col, select

from tracker.consent.preferences import preference
from tracker.mail.addresses import Address, AddressError, domain_of, lookup_form, lookup_or_none, normalise
from tracker.mail.mime.build import UNDISCLOSED
from tracker.mail.mime.fields import Field, add_header, fields, normalise_line_ends, remove_header
from tracker.mail.mime.parts import Part, read_parts
from tracker.mail.mime.text import decoded, storable
from tracker.mail.mime.transport import is_signed, without_signatures
from tracker.models import Account, User
from tracker.outbound.copies import rule_of
from tracker.outbound.draft import Draft, SendError
from tracker.outbound.gateway.submitted_text import has_files, mailboxes, msg_ids, plain_text, values
from tracker.outbound.message_links import message_without_ours
from tracker.outbound.mime_patch import HtmlPart, Untouched, find_htmls
from tracker.outbound.send import Outgoing, links_of
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_BODY_BYTES, MAX_RECIPIENTS

CONTROL_HEADER = "X-Inkling-Track"
_NEVER_SENT = (CONTROL_HEADER, "Bcc", "Resent-Bcc")
_ALSO_SENDERS = ("sender", "resent-from", "resent-sender")
_LONGEST_ID = 255
PROGRAM_FILES_ITS_COPY = timedelta(minutes=1)
"""Mail programs file a copy in Sent by themselves, a moment after sending; ours is appended only when none is there by then."""


@dataclass(frozen=True)
class KnownSender:
    """A person with the accounts that they may send from, by the look-up form of their addresses."""

    user: User
    accounts: Mapping[str, Account]
    own: Set[str] | None = None
    """All their addresses in look-up form, where they are known already."""


def read_submitted(
    session: Session, context: AppContext, known: KnownSender, mail_from: str, rcpt_tos: Sequence[str], raw: bytes
) -> Outgoing:
    """What is to be sent. Nothing is written, and nothing read but what the workspace prefers.

    The recipients are those of the envelope. Raises :class:`SendError`, with the code ``not_yours`` when MAIL FROM or From is no
    confirmed address of this person.
    """
    if b"\0" in raw:  # RFC 5322 section 4: obsolete already when it was written; what reads it differs at each reader
        raise SendError("content", "nul", "The message holds a NUL character, which no mail may.")
    raw = normalise_line_ends(raw)
    header_fields = list(fields(raw))
    account, sender = _account(known.accounts, mail_from, header_fields)
    if preference(session, "unsign_submissions"):
        raw = without_signatures(raw)
    clean = _clean(raw, header_fields, account)
    root = read_parts(clean)
    raw = message_without_ours(context, clean, root)
    root = root if raw is clean else read_parts(raw)
    draft, untouched = _read(raw, root, header_fields, rcpt_tos)
    facts = {
        "from_name": (sender.name or account.name)[:200],
        "has_attachments": has_files(root),
        "sent_copy_at": now() + PROGRAM_FILES_ITS_COPY,
    }
    links = links_of(session, context, draft, raw)
    return Outgoing(known.user, account, draft, raw, _message_id(root.fields), links, untouched, facts, own=known.own)


ACCOUNTS = select(Account).where(col(Account.user_id) == bindparam("user")).order_by(col(Account.id).desc())
"""Everything that a person has or had to send from, the newest first."""


def confirmed(accounts: Iterable[Account]) -> dict[str, Account]:
    """Those that their person may send from, by the look-up form of their addresses."""
    return {lookup_form(each.address): each for each in accounts if each.confirmed_at and each.removed_at is None}


def _account(mine: Mapping[str, Account], mail_from: str, header_fields: list[Field]) -> tuple[Account, Address]:
    """The account of the From address. Envelope and header are both checked: either could name somebody else."""
    senders = mailboxes(header_fields, "from")
    if len(values(header_fields, "from")) != 1 or len(senders) != 1:
        raise SendError("from", "not_yours", "The message needs one From field with one address in it, yours.")
    account = mine.get(lookup_form(senders[0].address))
    others = {lookup_or_none(mail_from), *(form for name in _ALSO_SENDERS for form in _named_in(header_fields, name))}
    if account is None or not others <= mine.keys():
        text = "This sending address is not one of yours that are confirmed. Add and confirm it in the settings."
        raise SendError("from", "not_yours", text)
    return account, senders[0]


def _named_in(header_fields: list[Field], name: str) -> set[str | None]:
    """Whom the fields of that name say the message is from; None for what is no address, and for several in one field."""
    read = [
        (value, mailboxes([field], name)) for field in header_fields if field.name == name for value in [field.value]
    ]
    return {lookup_form(named[0].address) if len(named) == 1 else None for value, named in read if value.strip()}


def _clean(raw: bytes, header_fields: list[Field], account: Account) -> bytes:
    for name in _NEVER_SENT:
        raw = remove_header(raw, name) if values(header_fields, name.lower()) else raw
    if not any(values(header_fields, "date")):
        raw = add_header(remove_header(raw, "Date"), "Date", format_datetime(now()))
    if not values(header_fields, "to") and not values(header_fields, "cc"):
        raw = add_header(raw, "To", UNDISCLOSED)
    if not any(values(header_fields, "message-id")):
        new = make_msgid(domain=domain_of(account.address))
        raw = add_header(remove_header(raw, "Message-ID"), "Message-ID", new)
    return raw


def _message_id(header_fields: list[Field]) -> str:
    written = msg_ids(header_fields, "message-id") or [storable(values(header_fields, "message-id")[0])]
    return written[0][:_LONGEST_ID]


def _read(raw: bytes, root: Part, header_fields: list[Field], rcpt_tos: Iterable[str]) -> tuple[Draft, str | None]:
    """What the message says, and the rule by which it must stay as it is, if there is one."""
    parts = find_htmls(raw, root)
    htmls = () if isinstance(parts, Untouched) else tuple(storable(part.html) for part in parts)
    to, cc, bcc = _by_role(header_fields, rcpt_tos)
    track_opens, track_links = _wanted(header_fields)
    references = [reference[:_LONGEST_ID] for reference in msg_ids(header_fields, "references")]
    answered = [reference[:_LONGEST_ID] for reference in msg_ids(header_fields, "in-reply-to")] or references[-1:]
    draft = Draft(
        to=to,
        cc=cc,
        bcc=bcc,
        subject=decoded(next(iter(values(header_fields, "subject")), "")),
        html="".join(htmls) if htmls else None,
        html_parts=htmls if len(htmls) > 1 else (),
        text=plain_text(raw, root),
        track_opens=track_opens,
        track_links=track_links,
        in_reply_to=next(iter(answered), None),
        references=tuple(references),
        undo_seconds=0,
    )
    return draft, "signed_already" if is_signed(root.fields) else _untouched(parts)


def _untouched(parts: list[HtmlPart] | Untouched) -> str | None:
    if not isinstance(parts, Untouched):
        return "rewriting_failed" if sum(len(part.html) for part in parts) > MAX_BODY_BYTES else None
    rule = rule_of(parts)
    return None if rule == "text_only" else rule


def _by_role(
    header_fields: list[Field], rcpt_tos: Iterable[str]
) -> tuple[tuple[Address, ...], tuple[Address, ...], tuple[Address, ...]]:
    """The envelope's recipients as To, Cc and those that no header names, in the order of the headers."""
    envelope = _envelope(rcpt_tos)
    named = []
    for name in ("to", "cc"):
        here = {lookup_form(mailbox.address): mailbox for mailbox in mailboxes(header_fields, name)}
        named.append(
            tuple(Address(envelope.pop(form), mailbox.name) for form, mailbox in here.items() if form in envelope)
        )
    return named[0], named[1], tuple(Address(address) for address in envelope.values())


def _envelope(rcpt_tos: Iterable[str]) -> dict[str, str]:
    try:
        envelope = {lookup_form(address): normalise(address) for address in reversed(list(rcpt_tos))}
    except AddressError as error:
        raise SendError("to", error.code, error.sentence) from None
    if not envelope:
        raise SendError("to", "empty", "Nobody to send to. Give at least one address.")
    if len(envelope) > MAX_RECIPIENTS:
        text = f"{len(envelope)} recipients are too many; one message may have {MAX_RECIPIENTS}."
        raise SendError("to", "too_many", text)
    return dict(reversed(envelope.items()))


def _wanted(header_fields: list[Field]) -> tuple[bool | None, bool | None]:
    """Opens and links as the control header asks for them; the person's defaults (None) without one. The stricter wins."""
    asked = values(header_fields, CONTROL_HEADER.lower())
    if not asked:
        return None, None
    words = set(re.findall(r"[a-z]+", " ".join(asked).lower()))
    return "opens" in words and "none" not in words, "links" in words and "none" not in words
