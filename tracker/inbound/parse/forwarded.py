"""Letters that somebody hands on: that they are, and who wrote what is inside. Pure."""

import re

from tracker.inbound.parse.letter import ParsedLetter, content_of, parse
from tracker.inbound.parse.quotations import begins_older, is_title, lines_of, names_author
from tracker.inbound.parse.subjects import is_forward_subject
from tracker.mail.addresses import Address, read_field

_HANDED_ON = re.compile(
    r"forward|weitergeleitet|transf|réexp|reenviad|e?ncaminhad|inoltrat|doorgestuurd|videresendt|vidarebefordra|välite|edelleen"
    r"|przekaz|przesłan|přeposl|prepos|tovább|redirec|iletilen|yönlend|prosl?ijeđ|posredovan|пере(?:сыл|сл|адрес|направ)|препрат"
    r"|προωθ|转发|轉寄",
    re.IGNORECASE,
)
_LOOKED_AT = 20_000
_LINES_OF_HEAD = 14


def is_forwarded(letter: ParsedLetter) -> bool:
    """Somebody hands on what somebody else wrote. A flag; the sender stays who sent it."""
    if is_forward_subject(letter.subject) or "message/rfc822" in letter.part_types:
        return True
    if any(name.startswith("resent-") for name, _ in letter.fields):
        return True
    lines, plain = lines_of(letter.text[:_LOOKED_AT])
    return any(_says_handed_on(line) for line, is_plain in zip(lines, plain, strict=True) if not is_plain)


def inner_sender(raw: bytes, letter: ParsedLetter) -> Address | None:
    """Who wrote the letter that is inside: of an attached one, else of the one below the line or the head that says so."""
    for file in letter.files:
        if file.content_type == "message/rfc822":
            return parse(content_of(raw, file.part) or b"").sender
    lines = letter.text[:_LOOKED_AT].splitlines()
    head = lines[_begin(lines, is_forward_subject(letter.subject)) :][:_LINES_OF_HEAD]
    named = (line.partition(":")[2] or line.partition("：")[2] for line in head if names_author(line))
    return next((mailbox for written in [*named, *head] if (mailbox := _mailbox(written))), None)


def _begin(lines: list[str], is_forward: bool) -> int:
    """Where the older message begins; behind the last line where none does."""
    numbers = range(len(lines))
    titled = next((number for number in numbers if _says_handed_on(lines[number])), None)
    if titled is None and is_forward:
        titled = next((number for number in numbers if begins_older(lines, number)), None)
    return len(lines) if titled is None else titled


def _says_handed_on(line: str) -> bool:
    return is_title(line) and bool(_HANDED_ON.search(line[:200]))


def _mailbox(written: str) -> Address | None:
    return next(iter(read_field(written.strip(" \t>*:")[:300]).mailboxes), None) if "@" in written else None
