"""What makes two copies the same letter, however often and wherever a server shows it. Pure."""

import hashlib
from collections.abc import Iterable

from tracker.inbound.parse.letter import ParsedLetter
from tracker.mail.addresses import Address

_BLANKS = bytes.maketrans(b"\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f", b" " * 9)


def content_hash(letter: ParsedLetter) -> str:
    """A digest of who, when, what, and the files; of what could not be read, of its octets. Trace fields and what providers add
    are left out: another delivery of the same letter changes them."""
    sent = letter.sent_at.isoformat() if letter.sent_at else letter.value("date")
    pieces = [
        _people(letter.senders),
        _people(letter.to),
        _people(letter.cc),
        sent,
        " ".join(letter.subject.split()),
        _words(letter.text),
        _words(letter.html or ""),
        *sorted(file.digest for file in letter.files),
        *sorted(file.written_name for file in letter.files if file.written_name),
        *([_people(letter.reply_to)] if letter.reply_to else []),
        *([letter.unread_digest] if letter.unread_digest else []),
    ]
    digest = hashlib.sha256()
    for piece in pieces:
        octets = piece.encode("utf-8", "replace")
        digest.update(b"%d:%s" % (len(octets), octets))
    return digest.hexdigest()


def identity(gmail_id: int | None, message_id: str, content: str) -> str:
    """Gmail's own number where there is one; else Message-ID together with the content; without Message-ID the content alone."""
    if gmail_id is not None:
        return f"gmail:{gmail_id}"
    return hashlib.sha256(f"{message_id}\0{content}".encode("utf-8", "replace")).hexdigest()


def _people(mailboxes: Iterable[Address]) -> str:
    return ",".join(sorted(mailbox.address.lower() for mailbox in mailboxes))


def _words(text: str) -> str:
    if not text.isascii():
        return " ".join(text.split())
    plain = text.encode().translate(_BLANKS)
    while b"  " in plain:
        plain = plain.replace(b"  ", b" ")
    return plain.strip().decode()
