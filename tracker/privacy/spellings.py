"""Every way in which mail, pages and programs write an address down, and finding it in any of them. Pure.

Read is a text as it is shown: entities, percents and escapes of JSON undone, composed (NFKC), in lower case, without what nobody
sees. Octets are read as text, through quoted-printable, base64, encoded-words and the archives that office files are.
"""

import binascii
import codecs
import html as entities
import re
import unicodedata
import zlib
from base64 import b64decode
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from html.entities import codepoint2name
from io import BytesIO
from urllib.parse import unquote
from zipfile import BadZipFile, ZipFile

import idna

from tracker.mail.mime.text import decoded

_TIMES = 4
"""So often one code inside another is undone: an address in a query of a link of a page that was quoted."""
_DEEPEST = 5
_MOST_UNPACKED = 64 * 1024 * 1024
_UNSEEN = "\u00ad\u034f\u061c\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_NO_UNSEEN = dict.fromkeys(map(ord, _UNSEEN))
_TAG = re.compile(r"<[^<>]{0,1000}>")
_JSON = re.compile(r"\\u([0-9a-fA-F]{4})")
_AT = re.compile(r"\s?[\[({]\s?at\s?[\])}]\s?")
_ENCODED_WORDS = re.compile(rb"=\?[^?\s]{1,60}\?[bBqQ]\?[^?\r\n]*\?=(?:\s*=\?[^?\s]{1,60}\?[bBqQ]\?[^?\r\n]*\?=)*")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}(?:[ \t>]*\r?\n[ \t>]*[A-Za-z0-9+/_-]+)*={0,2}")
_CODED = re.compile(rb"&#|&[A-Za-z]{4,20};|%[2-7][0-9a-fA-F]|\\u00|<|\xc2\xad|\xe2\x80|\xad")
_CHARSETS = ("utf-8", "cp1252", "cp1251", "koi8-r")
_NAMED = {
    "@": ("commat",),
    ".": ("period",),
    "'": ("apos",),
    "+": ("plus",),
    "_": ("lowbar", "UnderBar"),
    "-": ("hyphen", "dash"),
}
_NAMED |= {
    "!": ("excl",),
    "#": ("num",),
    "$": ("dollar",),
    "%": ("percnt",),
    "&": ("amp",),
    "*": ("ast",),
    "/": ("sol",),
}
_NAMED |= {"=": ("equals",), "?": ("quest",), "^": ("Hat",), "`": ("grave",), "{": ("lbrace", "lcub"), "|": ("vert",)}
_NAMED |= {"}": ("rbrace", "rcub")}
_BETWEEN = rf"(?:<[^<>]{{0,200}}>|[{_UNSEEN}]|&(?:shy|zwnj|zwj|ZeroWidthSpace|#8203|#x200b|#173|#xad);)*"
_BEFORE, _AFTER = r"(?<![\w.+%-])", r"(?![\w-]|\.\w)"
_BEFORE_CODED = r"(?<![\w.+-])(?<!%)"


def forms(address: str) -> frozenset[str]:
    """The address with its domain as A-labels and in its own letters."""
    local, _, domain = unicodedata.normalize("NFKC", address).lower().rpartition("@")
    return frozenset(f"{local}@{name}" for name in {domain, *_other_labels(domain)})


def _other_labels(domain: str) -> Iterator[str]:
    with suppress(UnicodeError):
        yield idna.decode(domain).lower()
    with suppress(UnicodeError):
        yield idna.encode(domain, uts46=True).decode().lower()


def shown(text: str) -> str:
    """The text as people read it."""
    for _ in range(_TIMES):
        before = text
        if "&" in text:
            text = entities.unescape(text)
        if "%" in text:
            text = unquote(text, errors="replace")
        if "\\u" in text:
            text = _JSON.sub(lambda code: chr(int(code[1], 16)), text)
        if text == before:
            break
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text.translate(_NO_UNSEEN))
    return _AT.sub("@", text.lower()) if "at" in text.lower() else text.lower()


class Spellings:
    """Some addresses of one person."""

    def __init__(self, addresses: frozenset[str]) -> None:
        self.forms = frozenset(form for address in addresses if "@" in address for form in forms(address))

    @cached_property
    def _shown(self) -> re.Pattern[str]:
        return re.compile(_BEFORE + f"(?:{'|'.join(map(re.escape, _longest_first(self.forms)))})" + _AFTER)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The address in a text as it is stored, in whatever codes, with the tags that stand inside of it."""
        each = (_BETWEEN.join(map(_letter, form)) for form in _longest_first(self.forms))
        return re.compile(_BEFORE_CODED + f"(?:{'|'.join(each)})" + _AFTER, re.IGNORECASE)

    @cached_property
    def run(self) -> str:
        """Letters and digits that stand in every spelling but for those that code letters; empty when there are none."""
        each = [set(re.findall(r"[a-z0-9]{3,}", form)) for form in self.forms]
        return max(set.intersection(*each), key=len, default="") if each else ""

    def are_in(self, text: str) -> bool:
        """Whether one of them can be read in the text."""
        if not self.forms:
            return False
        text = shown(text)
        return self._shown.search(text) is not None or (
            "<" in text and self._shown.search(_TAG.sub("", text)) is not None
        )

    def are_in_octets(self, content: bytes, depth: int = 0) -> bool:
        """Whether one of them can be read in a message or a file."""
        if not self.forms or not content:
            return False
        return self._plain(content) or (
            depth < _DEEPEST and any(self.are_in_octets(more, depth + 1) for more in _inside(content))
        )

    def _plain(self, content: bytes) -> bool:
        text = content
        if b"\0" in content:  # UTF-16, both ways round
            text = content.replace(b"\0", b"").replace(codecs.BOM_UTF16_LE, b"").replace(codecs.BOM_UTF16_BE, b"")
        if self.run and self.run.encode() not in text.lower() and _CODED.search(text) is None:
            return False
        if text.isascii() or all(form.isascii() for form in self.forms):
            return self.are_in(text.decode("latin-1"))
        readings = [text.decode(charset, "replace") for charset in _CHARSETS]
        if text is not content:
            readings += [content.decode(charset, "replace") for charset in ("utf-16-le", "utf-16-be")]
        return any(map(self.are_in, readings))


def _inside(content: bytes) -> Iterator[bytes]:
    """What the octets hold in codes."""
    if content.startswith(b"PK\x03\x04"):
        yield from _unzipped(content)
        return
    if b"=\n" in content or b"=\r\n" in content or re.search(rb"=[0-9A-F]{2}", content):
        octets = binascii.a2b_qp(content)
        if octets != content:
            yield octets
    for words in _ENCODED_WORDS.findall(content):
        yield decoded(words.decode("ascii", "replace")).encode()
    for code in _BASE64.findall(content):
        letters = re.sub(rb"[^A-Za-z0-9+/_-]", b"", code).translate(bytes.maketrans(b"-_", b"+/"))
        yield b64decode(
            letters[: len(letters) // 4 * 4] if len(letters) % 4 == 1 else letters + b"=" * (-len(letters) % 4)
        )


def _unzipped(content: bytes) -> Iterator[bytes]:
    left = _MOST_UNPACKED
    try:
        with ZipFile(BytesIO(content)) as archive:
            for member in archive.infolist():
                if 0 < member.file_size <= left:
                    left -= member.file_size
                    yield archive.read(member)
    except (BadZipFile, OSError, ValueError, RuntimeError, NotImplementedError, zlib.error, EOFError):
        return


def _letter(letter: str) -> str:
    codes = [re.escape(letter)]
    for form in {letter, letter.upper()}:
        if len(form) == 1:
            codes += [
                rf"&#0*{ord(form)};?",
                rf"&#x0*{ord(form):x};?",
                "".join(f"%(?:25)*{octet:02x}" for octet in form.encode()),
            ]
            codes += [rf"\\u{ord(form):04x}"] if ord(form) < 0x10000 else []
            codes += [f"&{codepoint2name[ord(form)]};?"] if ord(form) in codepoint2name else []
    codes += [f"&{name};?" for name in _NAMED.get(letter, ())]
    if (apart := unicodedata.normalize("NFD", letter)) != letter:
        codes.append(re.escape(apart))
    if letter == "@":
        codes += ["＠", r"\s?[\[({]\s?at\s?[\])}]\s?"]
    return f"(?:{'|'.join(dict.fromkeys(codes))})"


def _longest_first(texts: frozenset[str]) -> list[str]:
    return sorted(texts, key=len, reverse=True)
