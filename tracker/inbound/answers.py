"""Which message of ours a letter may answer, and whose copy of it. Pure: what is known of our messages is handed in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tracker.inbound.forwarded import is_forward_subject
from tracker.inbound.parse import ParsedLetter
from tracker.inbound.repeat import without_tag

_MOST = 51
_PREFIX = re.compile(
    r"^\s*(?:(?:re|fwd?|fw|aw|antw|wg|sv|vs|tr|rv|res|odp|ответ|отв|на|пересл|перенапр)\s*(?:\[\d{1,3}\]|\(\d{1,3}\))?\s*:"
    r"|\[(?:ext(?:ernal)?|внешн\w*)\])\s*",
    re.IGNORECASE,
)
_HREF = re.compile(r"""(?:href|src)\s*=\s*["']?(https?://[^"'\s>]{1,4000})""", re.IGNORECASE)


@dataclass(frozen=True)
class Copy:
    """A delivery of a message: its number and its recipient's address in look-up form."""

    id: int
    address: str


@dataclass(frozen=True)
class Whose:
    """The copy that is answered, and how that was found: token, recipient, tag, or other (somebody else answered)."""

    copy: int | None
    rule: str

    @property
    def by_a_recipient(self) -> bool:
        return self.rule in ("recipient", "tag")


def candidates(letter: ParsedLetter) -> tuple[str, ...]:
    """The msg-ids that the letter may answer, the likeliest first: In-Reply-To, then References from the last to the first."""
    return tuple(dict.fromkeys((*letter.in_reply_to, *reversed(letter.references))))[:_MOST]


def whose(sender: str, copies: Sequence[Copy], marked: int | None = None) -> Whose:
    """Whose copy ``sender`` answers. ``marked`` is the copy whose token stands in the quoted text.

    Somebody who is none of the recipients answers for the copy that was handed to him, if that can be told: the only one, or the
    marked one.
    """
    for rule, same in (("recipient", lambda a: a == sender), ("tag", lambda a: without_tag(a) == without_tag(sender))):
        found = [one.id for one in copies if sender and same(one.address)]
        if found:
            return Whose(marked if marked in found else found[0], rule)
    if marked is not None and any(one.id == marked for one in copies):
        return Whose(marked, "token")
    return Whose(copies[0].id if len(copies) == 1 else None, "other")


def bare_subject(subject: str) -> str:
    """The subject without the prefixes of answers, in lower case, as two letters of one conversation share it."""
    subject, before = subject[:1000], ""
    while subject != before:
        before, subject = subject, _PREFIX.sub("", subject)
    return " ".join(subject.lower().split())


def is_answer_by_subject(subject: str) -> bool:
    """The subject says that it answers something, and more than that."""
    return bool(_PREFIX.match(subject)) and not is_forward_subject(subject) and len(bare_subject(subject)) > 3


def quoted_urls(html: str | None, most: int = 500) -> Iterator[str]:
    """Addresses in a letter's HTML, in which tokens of ours may stand that name the copy it quotes."""
    for number, found in enumerate(_HREF.finditer(html or "")):
        if number == most:
            return
        yield found[1].replace("&amp;", "&")
