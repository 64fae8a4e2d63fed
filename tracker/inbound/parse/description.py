"""What an incoming message is, as plain data: who wrote what, what kind of letter it is and why. Pure; the journey of letters
(:mod:`tracker.inbound.accept`) decides by the same functions."""

from collections.abc import Collection
from typing import Any

from tracker.consent.rules import asks_not_to_be_tracked
from tracker.inbound.parse.answers import candidates, names_ours
from tracker.inbound.parse.category import categorise
from tracker.inbound.parse.letter import ParsedFile, ParsedLetter, parse
from tracker.inbound.parse.reports import Failure, read_report
from tracker.inbound.parse.writers import writer_of
from tracker.mail.addresses import Address, received_lookup


def describe(raw: bytes, own: Collection[str] = (), form_robots: Collection[str] = ()) -> dict[str, Any]:
    """The message as JSON can hold it. Our ``own`` addresses and those of robots that write for a web form are in look-up form.
    Message-IDs of our form are taken for ours.

    Never raises.
    """
    letter = parse(raw)
    judged = categorise(letter, own, False, names_ours(letter), form_robots)
    return {
        "category": judged.category,
        "reason": judged.reason,
        "from": _person(letter.sender) if letter.sender else None,
        "reply_to": [_person(each) for each in letter.reply_to],
        "to": [_person(each) for each in (*letter.to, *letter.cc)],
        "subject": letter.subject,
        "sent_at": letter.sent_at.isoformat() if letter.sent_at else None,
        "message_id": letter.message_id,
        "in_reply_to": list(candidates(letter)),
        "text": letter.text,
        "own_words": letter.own_text,
        "html": letter.html is not None,
        "files": [_file(each) for each in letter.files],
        "writer": _writer(letter, own, form_robots),
        "report": _report(raw, letter) if judged.category in ("bounce", "complaint") else None,
        "opt_out": asks_not_to_be_tracked(letter.own_text) if judged.category == "human" else None,
        "warnings": list(letter.defects),
    }


def _person(mailbox: Address) -> dict[str, str]:
    return {"name": mailbox.name, "address": mailbox.address}


def _file(file: ParsedFile) -> dict[str, Any]:
    return {"name": file.filename, "content_type": file.content_type, "size": file.size, "shown": file.inline}


def _writer(letter: ParsedLetter, own: Collection[str], form_robots: Collection[str]) -> str:
    writer = writer_of(letter, own, form_robots)
    return received_lookup(writer.address) if writer else ""


def _report(raw: bytes, letter: ParsedLetter) -> dict[str, Any]:
    report = read_report(raw, letter)
    return {
        "kind": report.kind,
        "recipients": [_recipient(failure) for failure in report.failures],
        "about": report.message_id or None,
    }


def _recipient(failure: Failure) -> dict[str, str]:
    return {"address": failure.address, "status": failure.status, "action": failure.outcome}
