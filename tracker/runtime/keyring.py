"""The keyring: encryption of what must be read again, and digests of what must only be recognised."""

import hashlib
import hmac
import os
import secrets
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from tracker.runtime.localized_text import ActionError, LocalizedError, LocalizedText

# RFC 9106 section 4, second recommended option (64 MiB), is argon2-cffi's default.
_passwords = PasswordHasher()
_AT_ONCE, _QUEUE = 2, 16
"""Passwords looked at at the same time, 64 MB each, and how many more may wait for their turn."""
_LONGEST_WAIT = 10.0
_turn, _place = threading.BoundedSemaphore(_AT_ONCE), threading.BoundedSemaphore(_AT_ONCE + _QUEUE)


@contextmanager
def _my_turn() -> Iterator[None]:
    """Waits for a turn among few. Raises :class:`ActionError` ``busy`` where too many wait already, or for too long."""
    if not _place.acquire(blocking=False):
        raise _busy()
    try:
        if not _turn.acquire(timeout=_LONGEST_WAIT):
            raise _busy()
        try:
            yield
        finally:
            _turn.release()
    finally:
        _place.release()


def _busy() -> ActionError:
    text = LocalizedText("Too many people sign in at this moment. Try again in %(seconds)s seconds.", seconds=2)
    return ActionError("busy", text, retry_after=2)


class Undecryptable(LocalizedError):
    """No key of the ring opens this secret: keys were lost, or the value belongs to another record."""


class Keyring:
    """Encrypts with the newest key, decrypts with any. AES-256-GCM; every value is bound to the record it belongs to."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        if not keys:
            raise ValueError("a key ring needs at least one key")
        self.keys = keys
        self._ciphers = [AESGCM(_derive(key, b"inkling credentials")) for key in keys]
        self._suppression_keys = [_derive(key, b"inkling suppression") for key in keys]
        self._digest_keys = [_derive(key, b"inkling digests") for key in keys]

    def encrypt(self, plain: bytes, record: str) -> bytes:
        """Ciphertext of ``plain``, readable only together with the same ``record`` name (such as ``account:17:smtp``)."""
        nonce = os.urandom(12)
        return nonce + self._ciphers[0].encrypt(nonce, plain, record.encode())

    def decrypt(self, sealed: bytes, record: str) -> bytes:
        """The plain bytes. Raises :class:`Undecryptable`."""
        for cipher in self._ciphers:
            try:
                return cipher.decrypt(sealed[:12], sealed[12:], record.encode())
            except (InvalidTag, ValueError):
                continue
        raise Undecryptable(
            LocalizedText("The stored password cannot be opened with the present keys. Enter it again.")
        )

    def digest(self, value: str) -> str:
        """A keyed digest (HMAC-SHA-256, hexadecimal) under the newest key."""
        return _keyed(self._digest_keys[0], value)

    def digests(self, value: str) -> list[str]:
        """The keyed digest under every key, the newest first: to recognise what was made before the keys were changed."""
        return [_keyed(key, value) for key in self._digest_keys]

    def suppressions(self, lookup: str) -> list[str]:
        """Under which name an erased address is remembered, under every key, the newest first: good for recognising it alone."""
        return [f"erased:{_keyed(key, lookup)[:40]}" for key in self._suppression_keys]


def _keyed(key: bytes, value: str) -> str:
    return hmac.digest(key, value.encode(), "sha256").hex()


def _derive(key: str, purpose: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=purpose).derive(key.encode())


def hash_password(password: str) -> str:
    """Raises :class:`ActionError` ``busy`` where too many wait for theirs."""
    with _my_turn():
        return _passwords.hash(password)


def password_fits(password_hash: str | None, password: str) -> bool:
    """Whether the password is right. Takes the same time when there is no such user (``None``).

    Raises :class:`ActionError` ``busy`` where too many wait for their turn.
    """
    try:
        with _my_turn():
            return _passwords.verify(password_hash or _NOBODY, password) and password_hash is not None
    except (VerificationError, InvalidHashError, UnicodeEncodeError):
        return False


def _unpadded(length: int) -> str:
    return b64encode(secrets.token_bytes(length)).decode().rstrip("=")


# The hash of a password that nobody has, under the parameters of all others, without the work of making one.
_NOBODY = (
    f"$argon2id$v=19$m={_passwords.memory_cost},t={_passwords.time_cost},p={_passwords.parallelism}"
    f"${_unpadded(_passwords.salt_len)}${_unpadded(_passwords.hash_len)}"
)


def new_token() -> str:
    """A bearer token of 256 random bits, safe in URLs and headers."""
    while (token := secrets.token_urlsafe(32)).startswith("-"):  # a mail program would take it for an option
        pass
    return token


def token_digest(token: str) -> str:
    """What we keep of a bearer token. It has 256 random bits, so a plain SHA-256 is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_code() -> str:
    """A code to type: 12 characters in three groups, no look-alikes, 59 bits."""
    alphabet = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
    return "-".join("".join(secrets.choice(alphabet) for _ in range(4)) for _ in range(3))
