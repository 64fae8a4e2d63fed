"""What an incoming letter is, and why. First match wins; only ``human`` counts, rings and makes customers. Pure.

A reason is a code, with the evidence behind a colon where there is some: ``auto_submitted:auto-replied``.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from tracker.inbound.parse.auto_reply_signs import absent_subject, machine_field, responder_field
from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.parse.report_signs import (
    bounce_subject,
    receipt_subject,
    tells_of_delivery,
    tells_of_outcome,
    tells_of_reaction,
    tells_of_reading,
)
from tracker.inbound.parse.subjects import is_forward_subject, plain_subject
from tracker.inbound.parse.writers import names_others, writer_of
from tracker.mail.addresses import lookup_or_none, received_lookup
from tracker.mail.mime.text import storable

_DAEMON = re.compile(
    r"^(?:mailer[-_]?daemon|postmaster|mail[-_]?daemon|mdaemon|maildaemon)(?:\+[^@]*)?(?:@|$)", re.IGNORECASE
)
_SURE_DAEMON = re.compile(
    r"^(?:mailer[-_]?daemon|mail[-_]?daemon|mdaemon|maildaemon)(?:\+[^@]*)?(?:@|$)", re.IGNORECASE
)
_ORIGINALS = frozenset({"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"})
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
_DISPOSITIONS = frozenset({"message/disposition-notification", "message/global-disposition-notification"})
_REACTION_PART = re.compile(r"text/vnd\.[\w.-]*reaction[\w.+-]*")
_DMARC_SUBJECT = re.compile(
    r"(?:\[[^\]]{1,40}\]\s*)?(?:dmarc (?:aggregate )?report\b|report[- ]?domain\s*:)", re.IGNORECASE
)
_DMARC_FILE = re.compile(
    r"[^!\s]+\.[^!\s]+![^!\s]+!\d{6,}!\d{6,}(?:![\w.-]+)?\.(?:xml|zip|gz|xml\.gz|json|json\.gz)|[^!\s]+![^!\s]+!\d+!\d+\S*",
    re.IGNORECASE,
)
_COMPLAINT_SUBJECT = re.compile(r"complaint about message from|e-?mail feedback report for ip", re.IGNORECASE)
_REPORTED_FAULTS = ("auth-failure", "dmarc", "not-spam")
"""Kinds of feedback that no recipient gave (RFC 6591), or that praise."""


@dataclass(frozen=True)
class Judged:
    """A category of the glossary, and the code of the reason."""

    category: str
    reason: str


def categorise(
    letter: ParsedLetter,
    own: Collection[str],
    is_own_notice: bool,
    answers_ours: bool = False,
    form_robots: Collection[str] = (),
) -> Judged:
    """``own`` are our addresses in look-up form, as ``form_robots`` are; ``is_own_notice`` says that our signed header is right,
    ``answers_ours`` that the letter names a Message-ID of ours as what it answers."""
    if is_own_notice:
        return Judged("own_notification", "signed_header")
    is_visitors = _is_visitors(letter, own, form_robots)
    for category, test in _TESTS:
        if is_visitors and test in _OF_PROGRAMS:
            continue
        if (reason := test(letter, own, answers_ours)) is not None:
            return Judged(category, storable(reason)[:200])
    return Judged("human", "nothing_else")


def _is_visitors(letter: ParsedLetter, own: Collection[str], form_robots: Collection[str]) -> bool:
    """A listed form's robot writes for somebody who filled the form in."""
    robot = received_lookup(letter.sender.address) if letter.sender else ""
    writer = writer_of(letter, own, form_robots) if robot in form_robots else None
    return writer is not None and received_lookup(writer.address) != robot


def _report_type(letter: ParsedLetter) -> str | None:
    """Of a report as its header declares it; "" where it names no kind, None for what is none."""
    return (
        letter.parameters.get("report-type", "").strip().lower() if letter.content_type == "multipart/report" else None
    )


def _complaint(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    holds = "message/feedback-report" in letter.part_types
    if _report_type(letter) == "feedback-report" or (
        holds and (_report_type(letter) is not None or _is_nobodys(letter))
    ):
        return None if letter.feedback_type in _REPORTED_FAULTS else "feedback_report"
    if _COMPLAINT_SUBJECT.match(letter.subject) and letter.part_types & _ORIGINALS:
        return f"subject:{letter.subject[:40]}"
    return None


def _bounce(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    kind = _report_type(letter)
    if kind == "delivery-status" or (kind is not None and letter.part_types & _REPORTS):
        return "delivery_report"
    if letter.part_types & _REPORTS and (_is_nobodys(letter) or _is_daemon(letter)):
        return "delivery_status_part"
    subject = bounce_subject(plain_subject(letter.subject))
    if _is_nobodys(letter) and (_is_daemon(letter) or letter.sender is None):
        return "empty_return_path"
    if subject and (_is_nobodys(letter) or _is_sure_daemon(letter)):
        return f"subject:{subject}"
    if letter.value("x-failed-recipients") and (subject or _is_daemon(letter) or tells_of_delivery(letter.text)):
        return "field:x-failed-recipients"
    if not _is_daemon(letter):  # nor a sure one
        return None
    is_about_delivery = tells_of_delivery(letter.text)
    if subject and (letter.part_types & _ORIGINALS or is_about_delivery or _auto_submitted(letter) not in ("", "no")):
        return f"subject:{subject}"
    return "mail_system" if _is_sure_daemon(letter) and (is_about_delivery or tells_of_outcome(letter.text)) else None


def _is_nobodys(letter: ParsedLetter) -> bool:
    """It must not be answered: its return path is empty (RFC 5321 section 4.5.5), or its From."""
    path = "".join(letter.value("return-path").split()).lower()
    author = "".join(letter.value("from").split()).lower()
    return path in ("<>", "<mailer-daemon>", "mailer-daemon") or author in ("<>", "<mailer-daemon>", "mailer-daemon")


def _is_daemon(letter: ParsedLetter) -> bool:
    """A mail system writes; its From may be less than an address."""
    return _daemon(letter, _DAEMON)


def _is_sure_daemon(letter: ParsedLetter) -> bool:
    """As above, where no person can be behind the address, as one may be behind postmaster@ of a small firm."""
    return _daemon(letter, _SURE_DAEMON)


def _daemon(letter: ParsedLetter, names: re.Pattern[str]) -> bool:
    written = re.findall(r"[^\s<>\"()]+", letter.value("from")[:1000])
    return bool(letter.sender and names.match(letter.sender.address)) or any(map(names.match, written))


def _machine_report(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    """DMARC (RFC 7489), failures of authentication (RFC 6591), TLS (RFC 8460)."""
    if _report_type(letter) in ("tlsrpt", "feedback-report") or letter.value("tls-report-domain"):
        return "machine_report"
    if any(kind.startswith("application/tlsrpt") for kind in letter.part_types) or letter.part_types == {
        "message/feedback-report"
    }:
        return "machine_report"
    if _DMARC_SUBJECT.match(plain_subject(letter.subject)):
        return "dmarc_report"
    lone = len(letter.files) == 1 and not is_forward_subject(letter.subject) and len(letter.own_text) < 400
    return "dmarc_report" if lone and _DMARC_FILE.fullmatch(letter.files[0].written_name) else None


def _mdn(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    if _report_type(letter) == "disposition-notification":
        return "disposition_notification"
    if letter.part_types & _DISPOSITIONS and (_report_type(letter) is not None or _is_nobodys(letter)):
        return "disposition_part"
    begins = receipt_subject(plain_subject(letter.subject))
    if begins and (_is_nobodys(letter) or tells_of_reading(letter.text) or _auto_submitted(letter) not in ("", "no")):
        return f"subject:{begins}"
    return None


def _other_report(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    return "other_report" if _report_type(letter) is not None else None


def _reaction(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    if any(map(_REACTION_PART.fullmatch, letter.part_types)):
        return "reaction_part"
    answers = letter.in_reply_to or letter.references
    return "reaction_words" if answers and tells_of_reaction(letter.own_text) else None


def _auto_reply(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    submitted = _auto_submitted(letter)
    if submitted.startswith("auto-replied"):
        return f"auto_submitted:{submitted}"
    if field := responder_field(letter.fields):
        return f"field:{field}"
    second = _is_nobodys(letter) or submitted not in ("", "no") or _precedence(letter) in ("bulk", "junk")
    phrase = absent_subject(letter.subject, letter.own_text, second)
    return f"subject:{phrase}" if phrase else None


def _answers_by_itself(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    """Signs of an answer that nobody wrote, where nothing else says what the letter is: old vacation programs say bulk, and none
    of them can be answered (RFC 3834 section 3.3)."""
    if (
        _precedence(letter) in ("bulk", "junk")
        and (letter.in_reply_to or letter.references)
        and not _list_field(letter)
    ):
        return f"precedence:{_precedence(letter)}"
    visitor = letter.reply_to and letter.sender and letter.reply_to[0].address.lower() != letter.sender.address.lower()
    return "unanswerable" if _is_nobodys(letter) and letter.sender and not visitor else None


def _auto_generated(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    submitted = _auto_submitted(letter)
    if submitted and submitted != "no":
        return f"auto_submitted:{submitted}"
    return f"field:{field}" if (field := machine_field(letter.fields)) else None


def _bulk(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    if answers_ours or _is_our_list(letter, own):
        return None
    precedence = _precedence(letter)
    if precedence in ("bulk", "list", "junk"):
        return f"precedence:{precedence}"
    return f"field:{field}" if (field := _list_field(letter)) else None


def _list_field(letter: ParsedLetter) -> str | None:
    return next((name for name in ("list-unsubscribe", "list-id") if letter.value(name)), None)


def _is_our_list(letter: ParsedLetter, own: Collection[str]) -> bool:
    """A group address of ours, such as info@ at a provider's groups, hands people's letters on as a list."""
    posts = [letter.value("x-beenthere").strip("<> "), *re.findall(r"mailto:([^>?\s]+)", letter.value("list-post"))]
    named = re.search(r"<([^<>\s]+)>", letter.value("list-id"))
    is_named = bool(named and named[1].lower() in {address.replace("@", ".") for address in own})
    return is_named or any(lookup_or_none(address) in own for address in posts)


def _own_outgoing(letter: ParsedLetter, own: Collection[str], answers_ours: bool) -> str | None:
    if letter.sender is None or lookup_or_none(letter.sender.address) not in own:
        return None
    return None if names_others(letter, own) else "from_own_address"


_TESTS = (
    ("complaint", _complaint),
    ("report", _machine_report),
    ("bounce", _bounce),
    ("mdn", _mdn),
    ("reaction", _reaction),
    ("auto_reply", _auto_reply),
    ("auto_generated", _auto_generated),
    ("auto_generated", _other_report),
    ("auto_reply", _answers_by_itself),
    ("bulk", _bulk),
    ("own_outgoing", _own_outgoing),
)

_OF_PROGRAMS = (_auto_generated, _answers_by_itself, _bulk)
"""Signs that a program wrote, as the one of a form does, whoever filled the form in."""


def _auto_submitted(letter: ParsedLetter) -> str:
    """RFC 3834 section 5: a keyword, maybe with parameters and comments; ``no`` is a person."""
    value = re.sub(r"\([^()]*\)", "", letter.value("auto-submitted"))
    return value.partition(";")[0].strip().lower()[:80]


def _precedence(letter: ParsedLetter) -> str:
    return letter.value("precedence").strip().lower().replace("-", "_")[:40]
