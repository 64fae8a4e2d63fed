"""Content-Transfer-Encodings undone (RFC 2045 section 6). What is broken gives as much as can be read; never raises."""

import base64
import binascii
import hashlib
import re
from contextlib import suppress

from tracker.mail.mime import quoted_printable
from tracker.mail.mime.parts import Part

PIECE = 1024 * 1024
_NO_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
_BLANKS = re.compile(rb"(?<=[^\s])[ \t](?=[^\s])")
_LOOKED_AT = 4096
_SPELT = (
    *(("base64", "base64"), ("b64", "base64"), ("quot", "quoted-printable"), ("qp", "quoted-printable")),
    ("uu", "uuencode"),
)
_UU_BEGIN = re.compile(rb"^begin [0-7]{3,4} [^\r\n]*\r?\n", re.MULTILINE)


def encoding_of(written: str) -> str:
    """The encoding that a field means, however it is spelt: base64, quoted-printable, uuencode, or empty for none at all."""
    word = re.sub(r"[^a-z0-9]", "", re.split(r"[;,(]", written.strip().lower(), maxsplit=1)[0]).removeprefix("x")
    return next((name for start, name in _SPELT if word.startswith(start)), "")


def octets_of(text: bytes, written: str) -> bytes:
    """The octets that a body stands for; an encoding that is none, and base64 that is plainly text, leave them as they are."""
    encoding = encoding_of(written)
    if encoding == "quoted-printable":
        return quoted_printable.decode(text)
    if encoding == "base64":
        return base64_octets(text) if _may_be_base64(text) else text
    return _uu(text) if encoding == "uuencode" else text


def _may_be_base64(text: bytes) -> bool:
    """Not where words with blanks between them stand: a label that is wrong."""
    beginning = text[:_LOOKED_AT].strip()
    return len(_BLANKS.findall(beginning)) * 20 <= len(beginning)


def octets_in(raw: bytes, part: Part, most: int | None = None) -> bytes:
    """The octets that this part of ``raw`` stands for; those of its first ``most`` encoded ones."""
    body = raw[part.body_start : part.body_end]
    return octets_of(body[:most], part.header("content-transfer-encoding"))


def measured(raw: bytes, start: int, end: int, encoding: str) -> tuple[int, str]:
    """Length and SHA-256 of the octets that a part of ``raw`` stands for. Large base64 is never whole in memory."""
    if encoding_of(encoding) != "base64" or end - start <= PIECE or not _may_be_base64(raw[start : start + _LOOKED_AT]):
        octets = octets_of(raw[start:end], encoding)
        return len(octets), hashlib.sha256(octets).hexdigest()
    digest, size, left = hashlib.sha256(), 0, b""
    for at in range(start, end, PIECE):
        letters = left + _NO_BASE64.sub(b"", raw[at : min(at + PIECE, end)])
        whole = len(letters) - len(letters) % 4
        octets, left = binascii.a2b_base64(letters[:whole]), letters[whole:]
        digest.update(octets)
        size += len(octets)
    if len(left) > 1:
        octets = base64.b64decode(left + b"=" * (4 - len(left)))
        digest.update(octets)
        size += len(octets)
    return size, digest.hexdigest()


def base64_octets(text: bytes) -> bytes:
    """Everything that is no letter of base64 is stepped over; a last incomplete group gives what it has."""
    with suppress(binascii.Error):
        if b"=" not in text[:-4].rstrip():  # a pad sequence in the middle ends the quick reading
            return binascii.a2b_base64(text)
    letters = _NO_BASE64.sub(b"", text)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    with suppress(binascii.Error):
        return base64.b64decode(letters + b"=" * (-len(letters) % 4))
    return text


def _uu(text: bytes) -> bytes:
    begin = _UU_BEGIN.search(text)
    pieces = []
    for line in text[begin.end() if begin else 0 :].splitlines():
        if line.strip() == b"end":
            break
        with suppress(binascii.Error):
            pieces.append(binascii.a2b_uu(line))
    return b"".join(pieces)
