"""Delivery reports (RFC 3464) read per recipient: who did not get what, for how long, and in whose words. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from tracker.inbound.parse import message_ids
from tracker.mail.addresses import lookup_or_none, read_field
from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.fields import fields
from tracker.mail.mime.parts import leaves, read_parts
from tracker.mail.mime.text import decoded, readable

_STATUS = re.compile(r"\b([245])\.\d{1,3}\.\d{1,3}\b")
_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_ORIGINALS = ("message/rfc822", "message/global", "text/rfc822-headers", "message/rfc822-headers")
_BLANK = re.compile(r"\n[ \t]*\n")
_MOST_RECIPIENTS = 200
_MOST_BYTES = 512 * 1024


@dataclass(frozen=True)
class Failure:
    """What became of one recipient. ``outcome``: failed, delayed, or delivered; ``address`` in look-up form."""

    address: str
    outcome: str
    status: str
    said: str
    """The other server's words."""


@dataclass(frozen=True)
class Report:
    """A report: per-recipient outcomes, and the Message-ID of what came back, empty when it is not in it."""

    failures: tuple[Failure, ...]
    message_id: str
    original: bytes
    """The message that came back, as much as is in it."""


def read_report(raw: bytes) -> Report:
    """Reads what a bounce says. Nothing is guessed: without an attached original there is no Message-ID. Never raises."""
    parts = [part for _, part in leaves(read_parts(raw))]
    reports = [octets_in(raw, part, _MOST_BYTES) for part in parts if part.content_type in _REPORTS]
    failures = [failure for report in reports for failure in _failures(report)]
    original = next((octets_in(raw, part, _MOST_BYTES) for part in parts if part.content_type in _ORIGINALS), b"")
    return Report(
        failures=tuple(failures[:_MOST_RECIPIENTS]) or tuple(_named_in_header(raw)),
        message_id=next(iter(message_ids(_field(original, "message-id"))), "") if original else "",
        original=original,
    )


def _field(raw: bytes, name: str) -> str:
    return next((one.value for one in fields(raw.lstrip(b"\r\n")) if one.name == name), "")


def _failures(content: bytes) -> Iterator[Failure]:
    """One per block of fields that names a recipient; the first block is about the message as a whole."""
    text = readable(content, "utf-8").replace("\r\n", "\n")
    for block in _BLANK.split(text):
        found = {one.name: one.value for one in reversed(list(fields(block.strip("\n").encode() + b"\n")))}
        address = _address(found.get("original-recipient", "")) or _address(found.get("final-recipient", ""))
        if address or "final-recipient" in found:
            yield _failure(address, found)


def _failure(address: str, found: dict[str, str]) -> Failure:
    said = decoded(found.get("diagnostic-code", "").partition(";")[2] or found.get("diagnostic-code", ""))
    status = _STATUS.search(found.get("status", "")) or _STATUS.search(said)
    return Failure(
        address, _outcome(found.get("action", ""), status[1] if status else ""), status[0] if status else "", said[:500]
    )


def _outcome(action: str, digit: str) -> str:
    action = re.sub(r"\([^()]*\)", "", action).strip().lower()
    if action == "delayed":
        return "delayed"
    if action in ("delivered", "relayed", "expanded"):
        return "delivered"
    if action == "failed":
        return "failed"
    return {"2": "delivered", "4": "delayed"}.get(digit, "failed")


def _address(value: str) -> str:
    """``rfc822;someone@example.com``, the type being left out by some."""
    kind, _, address = value.partition(";")
    mailboxes = read_field(address or kind).mailboxes
    return (lookup_or_none(mailboxes[0].address) or "") if mailboxes else ""


def _named_in_header(raw: bytes) -> Iterator[Failure]:
    """What Exim and Gmail add to reports that are for people alone."""
    for mailbox in read_field(_field(raw, "x-failed-recipients")).mailboxes[:_MOST_RECIPIENTS]:
        yield Failure(_address(mailbox.address), "failed", "", "")
