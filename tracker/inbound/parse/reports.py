"""Reports about a message that was sent, read per recipient: delivery reports (RFC 3464) and complaints (RFC 5965), and what mail
systems write for people alone. Pure; never raises."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import islice

from tracker.inbound.parse.letter import ParsedLetter, message_ids, parse
from tracker.inbound.parse.phrases import phrases
from tracker.inbound.parse.report_signs import outcome_in_words
from tracker.mail.addresses import lookup_or_none, read_field
from tracker.mail.id_form import ids_of_our_form
from tracker.mail.mime.encodings import octets_in
from tracker.mail.mime.fields import fields
from tracker.mail.mime.parts import leaves
from tracker.mail.mime.repair import divided
from tracker.mail.mime.text import decoded, readable

_STATUS = re.compile(r"(?<![\d.])([245])\.\d{1,3}\.\d{1,3}(?![\d.])")
_REPLY_CODE = re.compile(r"(?<![\d.])([45])\d\d(?=[ -])")
_REPORTS = ("message/delivery-status", "message/global-delivery-status")
_FEEDBACK, _DISPOSITION = "message/feedback-report", "message/disposition-notification"
_ORIGINALS = (
    "message/rfc822",
    "message/global",
    "text/rfc822-headers",
    "message/rfc822-headers",
    "message/global-headers",
)
_BLANK = re.compile(r"\n[ \t]*\n")
_RECIPIENT = ("original-recipient", "final-recipient")
_COMPLAINED = ("original-rcpt-to", "removal-recipient", "x-hmxmroriginalrecipient")
_ORIGINAL_ID = ("original-message-id", "x-original-message-id")
_HEADER_BEGINS = re.compile(
    r"\n[ \t]*\n(?=[ \t>]*(?:return-path|received|from|to|subject|date|message-id|mime-version)[ \t]*:[ \t]*\S)",
    re.IGNORECASE,
)
_FIELD_NAME = re.compile(r"^[ \t>]*([\w-]{2,40})[ \t]*:", re.MULTILINE)
_LONGEST_BLOCK = 8_000
_ADDRESS = r"[\w.!#$%&'*+/=?^`{|}~-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63})+"
_ON_ITS_LINE = re.compile(
    r"^[ \t>*•-]*+(?:rcpt to|recipients?|to|кому|адресат)?[ \t:]*+[<\"'(]?(?:mailto:)?"
    rf"({_ADDRESS})[>\"')]{{0,2}}[ \t]*(?::|$|\(|[-–—] )",
    re.IGNORECASE | re.MULTILINE,
)
_ANYWHERE = re.compile(_ADDRESS)
_NOBODY = re.compile(r"(?:mailer-daemon|postmaster|abuse|support|helpdesk|noreply|no-reply|spam)@", re.IGNORECASE)
_MOST_RECIPIENTS = 200
_MOST_IN_TEXT = 20
_MOST_BYTES = 512 * 1024
_MOST_TEXT = 32 * 1024
_WORST_FIRST = ("failed", "delayed", "delivered")


@dataclass(frozen=True)
class Failure:
    """What became of one recipient. ``outcome``: failed, delayed, delivered, or complaint; ``address`` in look-up form, empty where
    the report names nobody."""

    address: str
    outcome: str
    status: str
    said: str
    """The other server's words."""


@dataclass(frozen=True)
class DeliveryReport:
    """A report: outcomes per recipient, and the Message-ID of what came back, empty when it names none."""

    kind: str
    """The worst of its outcomes, or ``complaint``."""
    failures: tuple[Failure, ...]
    message_id: str
    original: bytes
    """The message that came back, as much as is in it."""


def read_report(raw: bytes, letter: ParsedLetter | None = None) -> DeliveryReport:
    """What a bounce or a complaint says; ``letter`` where it was parsed already.

    The message it is about is named by the copy in it, by ids of our form (that nobody else can sign) anywhere in it, or by what
    it answers. Nothing is guessed from subjects or addresses.
    """
    letter = letter or parse(raw)
    raw, root = divided(raw)
    parts = [part for _, part in leaves(root)]
    texts = {
        kind: [octets_in(raw, part, _MOST_BYTES) for part in parts if part.content_type == kind]
        for kind in (*_REPORTS, _FEEDBACK, _DISPOSITION)
    }
    copies = [octets_in(raw, part, _MOST_BYTES) for part in parts if part.content_type in _ORIGINALS]
    report_text, below = _divided_text(letter.text)
    original = next((copy for copy in copies if copy.strip()), below.encode("utf-8", "replace"))
    reports = [text for kind in _REPORTS for text in texts[kind]]
    if texts[_FEEDBACK]:
        failures, reports = list(_complaints(texts[_FEEDBACK][0], original)), texts[_FEEDBACK]
    else:
        failures = [failure for report in reports for failure in _failures(report)] or list(
            _in_words(letter, report_text)
        )
    kind = "complaint" if texts[_FEEDBACK] else _worst(failures, letter, report_text)
    return DeliveryReport(
        kind, tuple(failures[:_MOST_RECIPIENTS]), _about(letter, original, [*reports, *texts[_DISPOSITION]]), original
    )


def _worst(failures: list[Failure], letter: ParsedLetter, report_text: str) -> str:
    outcomes = {failure.outcome for failure in failures} or {outcome_in_words(letter.subject, report_text)}
    return next((outcome for outcome in _WORST_FIRST if outcome in outcomes), "failed")


def _about(letter: ParsedLetter, original: bytes, reports: list[bytes]) -> str:
    attached = message_ids(_field(original, "message-id")) if original else []
    machine = [id_ for report in reports for name in _ORIGINAL_ID for id_ in message_ids(_field(report, name))]
    anywhere = [
        *ids_of_our_form(letter.text),
        *(id_ for report in reports for id_ in ids_of_our_form(readable(report, "utf-8"))),
    ]
    named = [id_ for name in _ORIGINAL_ID for id_ in message_ids(letter.value(name))]
    return next(iter((*attached, *machine, *anywhere, *named, *letter.in_reply_to, *reversed(letter.references))), "")


def _field(raw: bytes, name: str) -> str:
    """Of a block of fields; also of one whose lines are not where a header section would end."""
    return next((each.value for each in fields(raw.lstrip(b" \t\r\n")) if each.name == name), "")


def _failures(content: bytes) -> Iterator[Failure]:
    """One per recipient. Empty lines may stand inside what is said of one, and be missing between two."""
    text = re.sub(r"(?<!\r)\r*\n", "\n", readable(content, "utf-8"))
    group: dict[str, str] = {}
    for block in _BLANK.split(text):
        for number, each in enumerate(fields(block.strip("\n").encode() + b"\n")):
            begins = number == 0 or each.name in _RECIPIENT
            if each.name in group and begins:
                yield from _failure(group)
                group = {}
            group.setdefault(each.name, each.value)
    yield from _failure(group)


def _failure(group: dict[str, str]) -> Iterator[Failure]:
    address = next(filter(None, (_address(group.get(name, "")) for name in _RECIPIENT)), "")
    if not address and not any(name in group for name in _RECIPIENT):
        return
    said = decoded(group.get("diagnostic-code", "").partition(";")[2] or group.get("diagnostic-code", "")).strip()
    status = _STATUS.search(group.get("status", "")) or _STATUS.search(said)
    outcome = _outcome(group.get("action", ""), status[1] if status else "")
    yield Failure(address, outcome, status[0] if status else "", said[:500])


def _outcome(action: str, digit: str) -> str:
    action = re.sub(r"\([^()]*\)", "", action).strip().lower()
    if action.startswith("delayed"):
        return "delayed"
    if action.startswith(("delivered", "relayed", "expanded")):
        return "delivered"
    if action.startswith("failed"):
        return "failed"
    return {"2": "delivered", "4": "delayed"}.get(digit, "failed")


def _address(value: str) -> str:
    """``rfc822;someone@example.com``, the type being left out by some."""
    kind, _, address = value.partition(";")
    mailboxes = read_field(address or kind).mailboxes
    return (lookup_or_none(mailboxes[0].address) or "") if mailboxes else ""


def _complaints(feedback: bytes, original: bytes) -> Iterator[Failure]:
    """Who pressed "spam", as far as the provider says it."""
    values = [each.value for each in fields(feedback.strip() + b"\n") if each.name in _COMPLAINED]
    values = values or [_field(original, "x-hmxmroriginalrecipient") or _field(original, "to")]
    for address in dict.fromkeys(filter(None, map(_address, values))):
        yield Failure(address, "complaint", "", "")


def _divided_text(text: str) -> tuple[str, str]:
    """What a mail system writes, and the copy of the message below it, empty where there is none."""
    text = text[:_MOST_BYTES]
    marker = _copy().search(text)
    if marker is not None:
        return text[: marker.start()], text[marker.end() :].lstrip()
    begins = next(filter(_is_header, islice(_HEADER_BEGINS.finditer(text), _MOST_IN_TEXT)), None)
    return (text[: begins.start()], text[begins.end() :]) if begins else (text, "")


def _is_header(begins: re.Match[str]) -> bool:
    """Of a whole message; not the subject and the date that mail systems cite of one."""
    block = begins.string[begins.end() : begins.end() + _LONGEST_BLOCK].partition("\n\n")[0]
    names = {name.lower() for name in _FIELD_NAME.findall(block)}
    return len(names) > 1 and bool(names & {"from", "received", "return-path", "message-id"})


@cache
def _copy() -> re.Pattern[str]:
    """The line above the copy."""
    marks = phrases("report_phrases", "copies")
    return re.compile(
        rf"^[ \t>*]*+(?:-{{2,}}|={{3,}})?[ \t]*+(?:{marks})\b(?!\s+(?:was|has|could|было|wurde)\b)[^\n]{{0,100}}$",
        re.IGNORECASE | re.MULTILINE,
    )


def _in_words(letter: ParsedLetter, report_text: str) -> Iterator[Failure]:
    """What a report for people says: recipients in the field of Exim and Gmail, else in the text, each with what follows it."""
    report_text = report_text[:_MOST_TEXT]
    outcome = outcome_in_words(letter.subject, report_text)
    listed = [
        mailbox.address for mailbox in read_field(letter.value("x-failed-recipients")).mailboxes[:_MOST_RECIPIENTS]
    ]
    if listed:
        status = _STATUS.search(report_text) if len(listed) == 1 else None
        yield from (
            Failure(_address(each), outcome, status[0] if status else "", _said(report_text) if status else "")
            for each in listed
        )
        return
    named = _recipients(letter, report_text)
    ends = [*(begin for _, begin in named[1:]), len(report_text)]
    for (address, begin), end in zip(named, ends, strict=False):
        around = report_text[begin:end] if len(named) > 1 else report_text
        status = _STATUS.search(around)
        yield Failure(address, outcome, status[0] if status else "", _said(around))


def _recipients(letter: ParsedLetter, report_text: str) -> list[tuple[str, int]]:
    """Addresses on lines of their own, else wherever they stand, each once with its place; not ours, nor the mail system's."""
    people = [*letter.senders, *letter.to, *letter.cc]
    others = {lookup_or_none(person.address) for person in people}
    for pattern in (_ON_ITS_LINE, _ANYWHERE):
        places: dict[str, int] = {}
        for match in pattern.finditer(report_text):
            address = lookup_or_none(match[match.lastindex or 0].rstrip(".")) or ""
            if address and address not in others and not _NOBODY.match(address) and len(places) < _MOST_IN_TEXT:
                places.setdefault(address, match.start())
        if places:
            return list(places.items())
    return []


def _said(text: str) -> str:
    """The line with the other server's code."""
    code = _STATUS.search(text) or _REPLY_CODE.search(text)
    if code is None:
        return ""
    begin = text.rfind("\n", 0, code.start()) + 1
    return " ".join(text[begin : text.find("\n", code.end()) if "\n" in text[code.end() :] else None].split())[:500]
