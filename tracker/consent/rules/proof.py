"""What shows that a consent event happened: channel, words, texts shown, their grade, and the chain of digests. Pure."""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from tracker.runtime.localized_text import N_, ActionError, LocalizedText

CHANNELS = (
    "web_form",
    "consent_mail_page",
    "reply_text",
    "contract",
    "phone_note",
    "import",
    "preference_page",
    "list_unsubscribe",
    "dsr",
    "objection_header",
    "demo",
)
_ACTED = frozenset({"web_form", "consent_mail_page", "preference_page", "list_unsubscribe", "objection_header", "demo"})
"""Channels in which the person acted, on a page or by a button."""

GRADES: Mapping[str, str] = {
    "A": N_("the person acted on our page and confirmed it"),
    "B": N_("the person acted themselves"),
    "C": N_("a written reply, quoted"),
    "D": N_("noted by one of us"),
    "E": N_("imported, with its origin"),
    "F": N_("without origin"),
}

_LIMITS = {
    "note": 4000,
    "notice": 64,
    "notice_version": 32,
    "notice_language": 16,
    "question": 2000,
    "control": 200,
    "reference": 200,
    "source_url": 2000,
    "request_message_id": 255,
}


class ConsentError(ActionError):
    """A consent event that cannot be recorded; ``field`` names what is wrong, ``message`` says it with its values."""

    def __init__(self, field: str, message: str, /, **values: str | int) -> None:
        super().__init__("invalid", LocalizedText(message, **values), field)


@dataclass(frozen=True)
class Proof:
    """The evidence of one consent event. What is left out is not known."""

    note: str = ""
    """How, when and with which words; the quotation of a reply."""
    notice: str = ""
    notice_version: str = ""
    notice_language: str = ""
    shown: str = ""
    """The text the person saw. Kept once for all who saw it; the entry holds its digest."""
    notice_digest: str = ""
    """SHA-256 of ``shown``; given alone where the text is kept elsewhere."""
    question: str = ""
    control: str = ""
    """How it was answered, such as “two unticked boxes”."""
    reference: str = ""
    """Of the form or the contract."""
    source_url: str = ""
    """Where it was said; query and fragment are cut off."""
    request_message_id: str = ""
    """Message-ID of the mail that asked."""
    double_opt_in: bool = False
    confirmed_at: datetime | None = None
    attachment_digest: str = ""
    """SHA-256 of a file that shows it."""
    more: Mapping[str, Any] | None = None

    @property
    def says_something(self) -> bool:
        said = (self.note, self.reference, self.source_url, self.attachment_digest, self.notice, self.notice_digest)
        return any(said)


def checked_proof(proof: Proof, *, at: datetime, now: datetime) -> Proof:
    """The proof as it is recorded. Raises :class:`ConsentError` naming the field that cannot be."""
    tidy: dict[str, Any] = {
        name: str(getattr(proof, name)).strip() for name in (*_LIMITS, "notice_digest", "attachment_digest")
    }
    for name, longest in _LIMITS.items():
        if len(tidy[name]) > longest:
            raise ConsentError(name, "“%(field)s” has more than %(longest)s characters.", field=name, longest=longest)
        if "\0" in tidy[name]:
            raise ConsentError(name, "“%(field)s” holds a character that is no text.", field=name)
    tidy["source_url"] = _without_query(tidy["source_url"])
    tidy["notice_digest"] = _notice_digest(proof.shown, tidy["notice_digest"])
    tidy["attachment_digest"] = _digest("attachment_digest", tidy["attachment_digest"])
    _check_confirmation(proof, at, now)
    tidy["confirmed_at"] = proof.confirmed_at and proof.confirmed_at.astimezone(UTC)
    return replace(proof, **tidy)


def _without_query(url: str) -> str:
    """A query may hold anything about a person, so it is not kept."""
    if not url:
        return ""
    try:
        parts = urlsplit(url)
        host = parts.netloc.rpartition("@")[2] if parts.scheme in ("http", "https") else ""
    except ValueError:
        host = ""
    if not host:
        raise ConsentError("source_url", "“source_url” must be an address such as https://shop.example/contact.")
    return urlunsplit((parts.scheme, host, parts.path, "", ""))


def _notice_digest(shown: str, digest: str) -> str:
    if not shown:
        return _digest("notice_digest", digest)
    if digest and digest.lower() != text_digest(shown):
        raise ConsentError("notice_digest", "“notice_digest” is not the SHA-256 of the text that was shown.")
    return text_digest(shown)


def text_digest(text: str) -> str:
    """SHA-256 of a text as UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _digest(field: str, digest: str) -> str:
    if digest and not re.fullmatch(r"[0-9a-fA-F]{64}", digest):
        raise ConsentError(field, "“%(field)s” must be a SHA-256: 64 hexadecimal digits.", field=field)
    return digest.lower()


def _check_confirmation(proof: Proof, at: datetime, now: datetime) -> None:
    if proof.double_opt_in != (proof.confirmed_at is not None):
        raise ConsentError("confirmed_at", "“double_opt_in” and “confirmed_at” go together: say when it was confirmed.")
    if proof.confirmed_at is None:
        return
    if proof.confirmed_at.tzinfo is None:
        raise ConsentError("confirmed_at", "“confirmed_at” needs its time zone.")
    if not at <= proof.confirmed_at <= now:
        raise ConsentError("confirmed_at", "“confirmed_at” must lie between “at” and now.")


def grade_of(channel: str, actor: str, proof: Proof) -> str:
    """What the evidence is worth, from A to F.

    A and B the person acted, C a quoted reply or paper, D asserted by one of us, E imported with an origin, F nothing to show.
    What the person did on our own page or a program of ours reports needs no further words; what somebody types in does.
    """
    if channel == "import" or actor.startswith("import:"):
        return "E" if proof.says_something else "F"
    if channel in _ACTED and (proof.says_something or not actor.startswith("user:")):
        return "A" if proof.double_opt_in else "B"
    if not proof.says_something:
        return "F"
    if channel == "contract" and (proof.reference or proof.attachment_digest):
        return "B"
    return "C" if channel in ("reply_text", "contract") and proof.note else "D"


def chain_digest(previous: str, facts: Mapping[str, Any]) -> str:
    """SHA-256 over the previous entry's digest and this entry's facts in canonical JSON."""
    return hashlib.sha256(f"{previous}\n{_canonical(facts)}".encode()).hexdigest()


def proof_digest(salt: str, proof: Mapping[str, Any]) -> str:
    """SHA-256 over a salt and what is erased with it."""
    return hashlib.sha256(f"{salt}\n{_canonical(proof)}".encode()).hexdigest()


def _canonical(facts: Mapping[str, Any]) -> str:
    return _WRITER.encode(facts)


def _written(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


_WRITER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, default=_written)
