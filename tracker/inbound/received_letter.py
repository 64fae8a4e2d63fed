"""A letter that was understood, and what of it goes into its row. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from tracker.inbound.fetch.fetched_letter import FetchedLetter
from tracker.inbound.parse.category import Judged
from tracker.inbound.parse.dates import Receipt
from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.parse.quotations import beginning, snippet
from tracker.inbound.parse.writers import writer_of
from tracker.inbound.repeat import recipient_of, without_tag
from tracker.mail.addresses import Address as Person
from tracker.mail.addresses import lookup_or_none, received_lookup
from tracker.mail.mime.text import decoded
from tracker.models import Mailbox

_LONGEST_ID = 255
_SENT_AHEAD = timedelta(days=2)
_TRACED = (
    *("x-original-to", "delivered-to", "x-envelope-to", "envelope-to", "x-forwarded-to", "x-forwarded-for"),
    *("x-gm-original-to", "resent-to"),
)


@dataclass(frozen=True)
class ReceivedLetter:
    """A letter that was understood, on its way into the database."""

    mailbox: Mailbox
    fetched: FetchedLetter
    raw: bytes
    parsed: ParsedLetter
    own: frozenset[str]
    judged: Judged
    receipt: Receipt
    content_hash: str
    identity: str
    flags: list[str]
    static: frozenset[str] = frozenset()
    """Addresses of rules that stand for a source each; and those that are leased to visitors, which fold to the mailbox's own."""
    pool: frozenset[str] = frozenset()
    inner: Person | None = None
    """Who wrote what a colleague handed on."""


def row_of(arrived: ReceivedLetter) -> dict[str, Any]:
    """The letter as columns of its table, without those that have defaults."""
    parsed, fetched, mailbox = arrived.parsed, arrived.fetched, arrived.mailbox
    person = _writer(arrived)
    return {
        "user_id": mailbox.user_id,
        "mailbox_id": mailbox.id,
        "identity": arrived.identity,
        "message_id": parsed.message_id[:_LONGEST_ID],
        "content_hash": arrived.content_hash,
        "header_hash": fetched.header_hash,
        "gmail_id": fetched.gmail_id,
        "in_reply_to": next(iter(parsed.in_reply_to), "")[:_LONGEST_ID],
        "references": [reference[:_LONGEST_ID] for reference in parsed.references],
        "thread": _thread(parsed),
        "received_at": arrived.receipt.at,
        "sent_at": _plausible(parsed.sent_at, fetched.fetched_at),
        "sender": received_lookup(person.address) if person else "",
        "sender_address": person.address if person else "",
        "sender_name": person.name if person else "",
        "reply_to": next(
            (mailbox.address for mailbox in parsed.reply_to if lookup_or_none(mailbox.address) not in arrived.own), ""
        ),
        "recipient": _recipient(arrived),
        "to": [[mailbox.address, mailbox.name] for mailbox in parsed.to],
        "cc": [[mailbox.address, mailbox.name] for mailbox in parsed.cc],
        "subject": parsed.subject,
        "snippet": beginning(parsed.own_text) or snippet(parsed.text),
        "size": fetched.size,
        "has_attachments": any(not file.inline for file in parsed.files),
        "server_flags": sorted(fetched.flags),
        "category": arrived.judged.category,
        "category_reason": arrived.judged.reason,
        "defects": list(parsed.defects),
        "flags": arrived.flags,
        "too_large": fetched.too_large,
        "recovered": fetched.recovered,
        "backfilled": arrived.receipt.backfilled and not fetched.recovered,
        "silent": fetched.silent,
    }


def _writer(arrived: ReceivedLetter) -> Person | None:
    """Who stands inside a letter that a colleague hands on, else who wrote it."""
    return arrived.inner or writer_of(arrived.parsed, arrived.own, arrived.mailbox.form_robots)


def _recipient(arrived: ReceivedLetter) -> str:
    """The address of ours it was written to; in a mailbox without one, where letters from elsewhere lie, whom it names first."""
    to_and_cc = (mailbox.address for mailbox in (*arrived.parsed.to, *arrived.parsed.cc))
    named = [*filter(None, map(lookup_or_none, to_and_cc))]
    traced = [decoded(value).strip("<> ") for name in _TRACED for value in arrived.parsed.values(name)[:10]]
    base = lookup_or_none(arrived.mailbox.address) or arrived.mailbox.address
    base = base or without_tag(next((address for address in named if address not in arrived.pool), ""))
    return recipient_of(named, [*filter(None, map(lookup_or_none, traced))], base, arrived.static, arrived.pool)


def _thread(parsed: ParsedLetter) -> str:
    """The first letter of the conversation, as far as this one knows it; written as messages of ours write it."""
    root = next(iter((*parsed.references, *parsed.in_reply_to, parsed.message_id)), "")
    return f"<{root}>"[:_LONGEST_ID] if root else ""


def _plausible(sent_at: datetime | None, fetched_at: datetime) -> datetime | None:
    return sent_at if sent_at is not None and sent_at <= fetched_at + _SENT_AHEAD else None
