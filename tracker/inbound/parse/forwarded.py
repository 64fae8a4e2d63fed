"""Letters that somebody hands on: that they are, and who wrote what is inside. Pure."""

import re

from tracker.inbound.parse.letter import ParsedLetter, content_of, parse
from tracker.inbound.parse.subjects import is_forward_subject
from tracker.mail.addresses import Mailbox, read_field

_FORWARD_BLOCK = re.compile(
    r"^[ \t>*]*(?:-{2,}[ \t]*)?(?:forwarded message|пересылаемое сообщение|пересылаемое письмо|пересланное сообщение"
    r"|begin forwarded message|начало переадресованного сообщения|weitergeleitete nachricht)(?:\s*-{2,}|\s*:|\s*$)",
    re.IGNORECASE | re.MULTILINE,
)
_INNER_FROM = re.compile(
    r"^[ \t>*]*(?:from|от кого|от|von|de|отправитель)[ \t]*:\*?[ \t]*(.{3,300})$", re.IGNORECASE | re.MULTILINE
)
_WITHIN = 2_000


def is_forwarded(letter: ParsedLetter) -> bool:
    """Somebody hands on what somebody else wrote. A flag; the sender stays who sent it."""
    if is_forward_subject(letter.subject) or "message/rfc822" in letter.part_types:
        return True
    if any(name.startswith("resent-") for name, _ in letter.fields):
        return True
    return bool(_FORWARD_BLOCK.search(letter.text[:20_000]))


def inner_sender(raw: bytes, letter: ParsedLetter) -> Mailbox | None:
    """Who wrote the letter that is inside: of an attached one, else of the one quoted below the line that says so."""
    for file in letter.files:
        if file.content_type == "message/rfc822":
            return parse(content_of(raw, file.part) or b"").sender
    begins = _FORWARD_BLOCK.search(letter.text[:20_000])
    if begins is None:
        return None
    found = _INNER_FROM.search(letter.text, begins.end(), begins.end() + _WITHIN)
    return next(iter(read_field(found[1]).mailboxes), None) if found else None
