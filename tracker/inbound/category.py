"""What an incoming letter is, and why. First match wins; only ``human`` counts, rings and makes customers. Pure.

A reason is a code, with the evidence behind a colon where there is some: ``auto_submitted:auto-replied``.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from tracker.inbound.parse import ParsedLetter
from tracker.mail.addresses import lookup_or_none
from tracker.mail.mime.text import storable

_AUTO_FIELDS = ("x-autoreply", "x-autorespond", "x-autoresponder", "x-autoreply-from")
_AUTO_SUBJECT = re.compile(
    r"\s*(?:automatic reply|auto(?:matic)?[- ]?(?:reply|response)\b|out of (?:the )?office|ooo\s*(?:[:\-–—]|$)"
    r"|автоответ|автоматический ответ|нет на месте|вне офиса|автоматическое уведомление об отсутствии"
    r"|automatische antwort|abwesenheits(?:notiz|nachricht)|réponse automatique|respuesta automática|risposta automatica)",
    re.IGNORECASE,
)
_BOUNCE_SUBJECT = re.compile(
    r"\s*(?:undeliver(?:able|ed)|mail delivery (?:failed|failure|system)|delivery (?:status notification|failure|has failed)"
    r"|returned mail|failure notice|non[- ]?delivery|не удалось доставить|недоставленное сообщение|сообщение не доставлено"
    r"|mail system error|unzustellbar|delivery notification)",
    re.IGNORECASE,
)
_DAEMON = re.compile(r"^(?:mailer-daemon|postmaster|mail-daemon|mdaemon)(?:\+[^@]*)?@", re.IGNORECASE)
_ORIGINALS = frozenset({"message/rfc822", "text/rfc822-headers", "message/rfc822-headers", "message/global"})
_REPORTS = frozenset({"message/delivery-status", "message/global-delivery-status"})


@dataclass(frozen=True)
class Judged:
    """A category of the glossary, and the code of the reason."""

    category: str
    reason: str


def judge(letter: ParsedLetter, own: Collection[str], is_own_notice: bool) -> Judged:
    """``own`` are our addresses in look-up form; ``is_own_notice`` says that our signed header is right."""
    if is_own_notice:
        return Judged("own_notification", "signed_header")
    for category, test in _TESTS:
        if (reason := test(letter, own)) is not None:
            return Judged(category, storable(reason)[:200])
    return Judged("human", "nothing_else")


def _bounce(letter: ParsedLetter, own: Collection[str]) -> str | None:
    report = letter.parameters.get("report-type", "").lower()
    if letter.content_type == "multipart/report" and report == "delivery-status":
        return "delivery_report"
    if letter.part_types & _REPORTS:
        return "delivery_status_part"
    nobody = letter.value("return-path").strip() == "<>"
    if nobody and letter.sender and _DAEMON.match(letter.sender.address):
        return "empty_return_path"
    known = _BOUNCE_SUBJECT.match(letter.subject)
    if known and letter.part_types & _ORIGINALS and (nobody or _by_daemon(letter)):
        return f"subject:{known[0].strip()}"
    return None


def _by_daemon(letter: ParsedLetter) -> bool:
    return (
        letter.sender is None or bool(_DAEMON.match(letter.sender.address)) or bool(letter.value("x-failed-recipients"))
    )


def _mdn(letter: ParsedLetter, own: Collection[str]) -> str | None:
    report = letter.parameters.get("report-type", "").lower()
    if letter.content_type == "multipart/report" and report == "disposition-notification":
        return "disposition_notification"
    return "disposition_part" if "message/disposition-notification" in letter.part_types else None


def _auto_reply(letter: ParsedLetter, own: Collection[str]) -> str | None:
    submitted = _auto_submitted(letter)
    if submitted.startswith("auto-replied"):
        return f"auto_submitted:{submitted}"
    for name in _AUTO_FIELDS:
        if letter.value(name):
            return f"field:{name}"
    if _precedence(letter) == "auto_reply":
        return "precedence:auto_reply"
    begins = _AUTO_SUBJECT.match(letter.subject)
    return f"subject:{begins[0].strip()}" if begins else None


def _auto_generated(letter: ParsedLetter, own: Collection[str]) -> str | None:
    submitted = _auto_submitted(letter)
    return f"auto_submitted:{submitted}" if submitted and submitted != "no" else None


def _bulk(letter: ParsedLetter, own: Collection[str]) -> str | None:
    if _is_our_list(letter, own):
        return None
    precedence = _precedence(letter)
    if precedence in ("bulk", "list", "junk"):
        return f"precedence:{precedence}"
    return next((f"field:{name}" for name in ("list-unsubscribe", "list-id") if letter.value(name)), None)


def _is_our_list(letter: ParsedLetter, own: Collection[str]) -> bool:
    """A group address of ours, such as info@ at a provider's groups, hands people's letters on as a list."""
    posts = re.findall(r"mailto:([^>?\s]+)", letter.value("list-post"))
    return any(lookup_or_none(address) in own for address in posts)


def _own_outgoing(letter: ParsedLetter, own: Collection[str]) -> str | None:
    if letter.sender is None or lookup_or_none(letter.sender.address) not in own:
        return None
    foreign = [one for one in letter.reply_to if lookup_or_none(one.address) not in own]
    return None if foreign else "from_own_address"


_TESTS = (
    ("bounce", _bounce),
    ("mdn", _mdn),
    ("auto_reply", _auto_reply),
    ("auto_generated", _auto_generated),
    ("bulk", _bulk),
    ("own_outgoing", _own_outgoing),
)


def _auto_submitted(letter: ParsedLetter) -> str:
    """RFC 3834 section 5: a keyword, maybe with parameters and comments; ``no`` is a person."""
    value = re.sub(r"\([^()]*\)", "", letter.value("auto-submitted"))
    return value.partition(";")[0].strip().lower()[:80]


def _precedence(letter: ParsedLetter) -> str:
    return letter.value("precedence").strip().lower().replace("-", "_")[:40]
