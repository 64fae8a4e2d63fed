"""Subjects: what mail programs write before them in the languages of Europe, and what is left without that. Pure."""

import re
import unicodedata
from functools import lru_cache

_TAG = (
    r"[\[({*]{1,3}\s*(?:ext(?:ern(?:al|e|o|í)?)?|external (?:e-?mail|sender|mail)|caution|warning|внешн\w*|(?:suspected )?spam\??)"
    r"\s*[:!]?\s*[\])}*]{1,3}"
)
_NUMBER = r"(?:\s*(?:\[\d{1,3}\]|\(\d{1,3}\)|\^?\d{1,3}|\*\d{1,3}))?"
_REPLY = (
    "re|aw|antw|antwort|sv|vs|odp|odpověď|odpoveď|отв|ответ|на|ha|rif|ris|r|res|resp|rép|ynt|yan|yanıt|cevap|vá|vast|ats|atb|απ|απάντηση"
    "|відп|відповідь|адказ|отг|отговор|одг|odg|odgovor|răsp|svar|σχετ"
    "|השב|תשובה|رد|تعليق|balas|bls|trả lời|回复|回覆|答复|答覆|回信|返信|답장|회신"
)
_FORWARD = (
    "fwd?|fw|tr|wg|wtr|doorst|rv|rvt?|enc|i|pd|vl|vs|vb|vidarebefordrat|videresendt|továbbítás|i̇lt|ilt|пересл|перенапр|пер|преп|fs|πρθ"
    "|προωθ|转发|轉寄|転送|전달"
)
_PREFIX = re.compile(rf"\s*(?:(?:{_REPLY}|{_FORWARD}){_NUMBER}\.?\s*:)\s*", re.IGNORECASE)
_REPLIES = re.compile(rf"\s*(?:{_REPLY}){_NUMBER}\.?\s*:", re.IGNORECASE)
_FORWARDS = re.compile(rf"\s*(?:{_FORWARD}){_NUMBER}\.?\s*:", re.IGNORECASE)
_TAGS = re.compile(rf"\s*{_TAG}\s*", re.IGNORECASE)
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")
_LONGEST = 1000
_LIST_TAG = re.compile(r"^\[[^\]]{1,40}\]\s*")


@lru_cache(64)  # one letter asks for its own again and again
def plain_subject(subject: str) -> str:
    """Composed, with common forms of wide letters and punctuation, without the tags that gateways put before it."""
    plain = _INVISIBLE.sub("", unicodedata.normalize("NFKC", subject[:_LONGEST]))
    while tag := _TAGS.match(plain):
        plain = plain[tag.end() :]
    return " ".join(plain.split())


def bare_subject(subject: str) -> str:
    """The subject without the prefixes of answers, in lower case, as two letters of one conversation share it."""
    bare = plain_subject(subject)
    while before := _PREFIX.match(bare) or _TAGS.match(bare):
        bare = bare[before.end() :]
    return bare.lower()


def is_reply_subject(subject: str) -> bool:
    return bool(_REPLIES.match(plain_subject(subject)))


def is_forward_subject(subject: str) -> bool:
    plain = plain_subject(subject)
    plain = _LIST_TAG.sub("", plain)
    return bool(_FORWARDS.match(plain))
