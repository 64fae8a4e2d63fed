"""Which message of ours a letter may answer, and whose copy of it. Pure: what is known of our messages is handed in."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from tracker.inbound.parse.letter import ParsedLetter
from tracker.inbound.parse.subjects import bare_subject, is_reply_subject
from tracker.inbound.repeat import without_tag
from tracker.mail.id_form import ids_of_our_form

_MOST = 51
_MOST_URLS = 500
_HREF = re.compile(r"""(?:href|src)\s*=\s*["']?(https?://[^"'\s>]{1,4000})""", re.IGNORECASE)


@dataclass(frozen=True)
class SentDelivery:
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


def names_ours(letter: ParsedLetter) -> bool:
    """The letter says that it answers what has the form of a message of ours; whether it is one, a key has to tell."""
    return any(ids_of_our_form(id_) == [id_] for id_ in candidates(letter))


def whose(sender: str, copies: Sequence[SentDelivery], marked: int | None = None) -> Whose:
    """Whose copy ``sender`` answers. ``marked`` is the copy whose token stands in the quoted text.

    Somebody who is none of the recipients answers for the copy that was handed to him, if that can be told: the only one, or the
    marked one.
    """
    for rule, same in (("recipient", lambda a: a == sender), ("tag", lambda a: without_tag(a) == without_tag(sender))):
        ids = [copy.id for copy in copies if sender and same(copy.address)]
        if ids:
            return Whose(marked if marked in ids else ids[0], rule)
    if marked is not None and any(copy.id == marked for copy in copies):
        return Whose(marked, "token")
    return Whose(copies[0].id if len(copies) == 1 else None, "other")


def is_answer_by_subject(subject: str) -> bool:
    """The subject says that it answers something, and more than that."""
    return is_reply_subject(subject) and len(bare_subject(subject)) > 3


def quoted_urls(html: str | None) -> Iterator[str]:
    """Addresses in a letter's HTML, in which tokens of ours may stand that name the copy it quotes."""
    for match in islice(_HREF.finditer(html or ""), _MOST_URLS):
        yield match[1].replace("&amp;", "&")
