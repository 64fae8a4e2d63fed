"""Tokens: signed statements in the addresses of pixels and tracked links.

A token is base64url(claims) followed by 27 characters of signature: HMAC-SHA-256 cut to 20 bytes, under a key derived
from one of the secret keys and the salt of the token's kind. It is built of `A–Z a–z 0–9 - _` alone, so that whatever a
mail program sticks to it (`.gif`, `)`, `=`) can be told from it. The signature covers the encoded text, so no two
spellings of one token exist. Anybody can read a token, nobody can change or make one; it never expires.
"""

import binascii
import hmac
import re
import secrets
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from itsdangerous.signer import Signer

from pixel.destinations import MAX_URL, is_web_address

SELF_COOKIE = "inkling_self"
MIN_KEY = 32
MAX_LINK = 0xFFFE
TRAP_LINK = 0xFFFF
"""The link number in a hit on the hidden link, which no person can see."""

_VERSION = 1
_OPEN = struct.Struct(">B8s")
_CLICK = struct.Struct(">B8sH")
_LINK = struct.Struct(">H")
_SIGNATURE = 27
_OPEN_LENGTH = 12 + _SIGNATURE  # of traps as well
_MAX_CLICK_LENGTH = (_CLICK.size + MAX_URL * 4) * 4 // 3 + 2 + _SIGNATURE
_MAX_MARK_LENGTH = 120 + _SIGNATURE
_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{11}")
_IN_PATH = re.compile(r"/(?P<kind>[oc])/(?P<token>[A-Za-z0-9_-]+)")
_WELL_KNOWN = re.compile(
    r"change[-_ ]?(me|this|it)|your[-_ ]?(secret|key)|replace[-_ ]?(me|this)|super[-_ ]?secret|default[-_ ]?(secret|key)"
    r"|insecure",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class OpenClaims:
    """What the token of a pixel states."""

    delivery: str


@dataclass(frozen=True)
class ClickClaims:
    """What the token of a tracked link states."""

    delivery: str
    link: int
    url: str


@dataclass(frozen=True)
class TrapClaims:
    """What the token of a hidden link states."""

    delivery: str


def new_public_id() -> str:
    """64 random bits as 11 characters of base64url: a name that cannot be guessed or walked."""
    return _encoded(secrets.token_bytes(8))


class Tokens:
    """Signs and reads tokens. The newest key (the first) signs, every key verifies.

    Raises ValueError for no keys, a key under 32 characters or one that is printed in manuals.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        check_keys(keys)
        self._open = _Seal(keys, "inkling.pixel.open")
        self._click = _Seal(keys, "inkling.pixel.click")
        self._trap = _Seal(keys, "inkling.pixel.trap")
        self._mark = _Seal(keys, "inkling.pixel.self")

    def open(self, delivery: str) -> str:
        """The token of a delivery's pixel, 39 characters. ValueError when `delivery` is not a public id."""
        return self._open.sign(_OPEN.pack(_VERSION, _public_id_bytes(delivery)))

    def click(self, delivery: str, link: int, url: str) -> str:
        """The token of a delivery's tracked link, 42 + 4/3 of the destination's bytes.

        `link` is its index, 0 to 65,534. ValueError for a destination that the edge would not redirect to.
        """
        if not 0 <= link <= MAX_LINK:
            raise ValueError(f"link index {link} is outside 0 to {MAX_LINK}")
        return self._click.sign_text(_text_of_delivery(delivery) + _text_of_link(link, url))

    def read_open(self, token: str) -> OpenClaims | None:
        """The claims of an open token; None for anything else. Never raises."""
        delivery = _delivery(self._open, token)
        return OpenClaims(delivery) if delivery is not None else None

    def read_click(self, token: str) -> ClickClaims | None:
        """The claims of a click token; None for anything else, and for a destination that is not http or https."""
        packed = self._click.read(token) if _SIGNATURE < len(token) <= _MAX_CLICK_LENGTH else None
        if packed is None or len(packed) <= _CLICK.size:
            return None
        version, delivery, link = _CLICK.unpack_from(packed)
        url = packed[_CLICK.size :].decode("utf-8", "replace")
        if version != _VERSION or not is_web_address(url):
            return None
        return ClickClaims(_encoded(delivery), link, url)

    def trap(self, delivery: str) -> str:
        """The token of a delivery's hidden link, 39 characters. ValueError when `delivery` is not a public id."""
        return self._trap.sign(_OPEN.pack(_VERSION, _public_id_bytes(delivery)))

    def read_trap(self, token: str) -> TrapClaims | None:
        """The claims of a hidden link's token; None for anything else. Never raises."""
        delivery = _delivery(self._trap, token)
        return TrapClaims(delivery) if delivery is not None else None

    def self_mark(self, user_public_id: str) -> str:
        """The value of the cookie `SELF_COOKIE` that tells the edge which of our own people made a hit."""
        name = user_public_id.encode()
        if not 0 < len(name) <= 64:
            raise ValueError("a user's public id has 1 to 64 bytes")
        return self._mark.sign(bytes([_VERSION]) + name)

    def read_self_mark(self, cookie: str) -> str | None:
        """The user's public id in a self mark; None for anything else. Never raises."""
        packed = self._mark.read(cookie) if _SIGNATURE < len(cookie) <= _MAX_MARK_LENGTH else None
        if packed is None or packed[:1] != bytes([_VERSION]):
            return None
        return packed[1:].decode("utf-8", "replace")


def open_path(token: str) -> str:
    """The path of a pixel on the tracking host; the ending is for programs that want images to look like images."""
    return f"/o/{token}.gif"


def click_path(token: str) -> str:
    """The path of a redirect on the tracking host."""
    return f"/c/{token}"


def token_in_path(path: str) -> tuple[str, str] | None:
    """Kind (`open` or `click`) and token of a percent-decoded path; what follows the token is ignored."""
    match = _IN_PATH.match(path)
    if match is None:
        return None
    return ("open" if match["kind"] == "o" else "click"), match["token"]


def check_keys(keys: Sequence[str]) -> None:
    """Raises ValueError unless every one of the keys is fit to sign with."""
    if isinstance(keys, str) or not keys:
        raise ValueError("a list of at least one secret key is needed")
    for key in keys:
        if len(key) < MIN_KEY:
            raise ValueError(f"a secret key has {len(key)} characters, at least {MIN_KEY} are needed")
        if _WELL_KNOWN.search(key):
            raise ValueError("a secret key reads like an example from a manual; make a random one")


class _Seal:
    """The derived keys of one kind of token, newest first; deriving them once makes signing and reading quick."""

    def __init__(self, keys: Sequence[str], salt: str) -> None:
        derived = (Signer(key, salt, key_derivation="hmac", digest_method=sha256).derive_key() for key in keys)
        self._macs = tuple(_Mac(key) for key in derived)

    def sign(self, packed: bytes) -> str:
        return self.sign_text(_base64(packed))

    def sign_text(self, text: bytes) -> str:
        return (text + self._macs[0].of(text)).decode("ascii")

    def read(self, token: str) -> bytes | None:
        try:
            raw = token.encode("ascii")
        except UnicodeEncodeError:
            return None
        text, signature = raw[:-_SIGNATURE], raw[-_SIGNATURE:]
        for mac in self._macs:
            if hmac.compare_digest(mac.of(text), signature):
                return _decoded(text)
        return None


class _Mac:
    """HMAC-SHA-256 cut to 160 bits, as RFC 2104 section 5 allows; shorter addresses break less in mail programs.

    The states behind the key are kept (section 4): less than half the time of a fresh HMAC for texts as short as these.
    """

    __slots__ = ("_inner", "_outer")

    def __init__(self, key: bytes) -> None:
        block = (sha256(key).digest() if len(key) > 64 else key).ljust(64, b"\0")
        self._inner, self._outer = (sha256(bytes(byte ^ pad for byte in block)) for pad in (0x36, 0x5C))

    def of(self, text: bytes) -> bytes:
        inner, outer = self._inner.copy(), self._outer.copy()
        inner.update(text)
        outer.update(inner.digest())
        return _base64(outer.digest()[:20])


def _delivery(seal: _Seal, token: str) -> str | None:
    """The public id in a token that states nothing else."""
    packed = seal.read(token) if len(token) == _OPEN_LENGTH else None
    if packed is None or len(packed) != _OPEN.size:
        return None
    version, delivery = _OPEN.unpack(packed)
    return _encoded(delivery) if version == _VERSION else None


_URL_SAFE = bytes.maketrans(b"+/", b"-_")
_STANDARD = bytes.maketrans(b"-_", b"+/")


def _base64(raw: bytes) -> bytes:
    """RFC 4648 section 5, without padding."""
    return binascii.b2a_base64(raw, newline=False).translate(_URL_SAFE).rstrip(b"=")


def _encoded(raw: bytes) -> str:
    return _base64(raw).decode("ascii")


def _decoded(text: bytes) -> bytes | None:
    try:
        return binascii.a2b_base64(text.translate(_STANDARD) + b"=" * (-len(text) % 4))
    except binascii.Error:  # signed, but not by this program
        return None


# The claims of a click in two pieces: the first nine bytes are twelve characters, so that what a link leads to is encoded once for
# all copies of a message.


@lru_cache(1024)
def _text_of_delivery(public_id: str) -> bytes:
    return _base64(_OPEN.pack(_VERSION, _public_id_bytes(public_id)))


@lru_cache(4096)
def _text_of_link(link: int, url: str) -> bytes:
    if not is_web_address(url):
        raise ValueError(f"destination is not an absolute http or https address of at most {MAX_URL} characters")
    return _base64(_LINK.pack(link) + url.encode())


@lru_cache(1024)  # a message asks once for each of its links
def _public_id_bytes(public_id: str) -> bytes:
    raw = _decoded(public_id.encode("ascii", "replace")) if _PUBLIC_ID.fullmatch(public_id) else None
    if raw is None or _encoded(raw) != public_id:
        raise ValueError(f"{public_id!r} is not a public id of 11 base64url characters")
    return raw
