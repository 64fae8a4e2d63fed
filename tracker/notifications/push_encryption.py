"""What a push service is handed: a message that only the browser can read (RFC 8291), and who sends it (RFC 8292)."""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

RECORD = 4096
"""Bytes of a message, all in all: push services need not take more (RFC 8030 section 7.2)."""
MOST_BYTES = RECORD - 86 - 17
"""Of them for the words: without the head, the padding's mark and the tag."""


def to_base64url(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def from_base64url(text: str) -> bytes:
    """Raises :class:`ValueError` for what is none."""
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass(frozen=True)
class PushTarget:
    """Where a browser is reached, and its keys: a point of P-256 and sixteen bytes. Raises :class:`ValueError` for others."""

    endpoint: str
    p256dh: str
    auth: str

    def __post_init__(self) -> None:
        _point(from_base64url(self.p256dh))
        if len(from_base64url(self.auth)) != 16:
            raise ValueError("auth has sixteen bytes")

    def to_json(self) -> bytes:
        return json.dumps([self.endpoint, self.p256dh, self.auth]).encode()

    @classmethod
    def from_json(cls, text: bytes) -> "PushTarget":
        return cls(*json.loads(text))


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def point_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The public half, uncompressed: 65 bytes."""
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def key_from_number(number: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(number), ec.SECP256R1())


def number_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The private half: 32 bytes."""
    return key.private_numbers().private_value.to_bytes(32)


def encrypt(plain: bytes, browser: PushTarget, key: ec.EllipticCurvePrivateKey, salt: bytes) -> bytes:
    """One record of ``aes128gcm`` (RFC 8188). ``key`` and ``salt`` (16 bytes) are for this message alone."""
    theirs, ours = from_base64url(browser.p256dh), point_of(key)
    shared = key.exchange(ec.ECDH(), _point(theirs))
    secret = _derived(shared, from_base64url(browser.auth), b"WebPush: info\0" + theirs + ours, 32)
    cipher = AESGCM(_derived(secret, salt, b"Content-Encoding: aes128gcm\0", 16))
    nonce = _derived(secret, salt, b"Content-Encoding: nonce\0", 12)
    head = salt + RECORD.to_bytes(4) + bytes([len(ours)]) + ours
    return head + cipher.encrypt(nonce, plain + b"\x02", None)  # 2 marks the last record


def authorization(key: ec.EllipticCurvePrivateKey, origin: str, contact: str, until: int) -> str:
    """The header that names us to the service at ``origin``, good until then (seconds since 1970, a day ahead at most)."""
    claims = {"aud": origin, "exp": until, "sub": contact}
    token = f"{_part({'typ': 'JWT', 'alg': 'ES256'})}.{_part(claims)}"
    r, s = decode_dss_signature(key.sign(token.encode(), ec.ECDSA(hashes.SHA256())))
    signature = to_base64url(r.to_bytes(32) + s.to_bytes(32))
    return f"vapid t={token}.{signature}, k={to_base64url(point_of(key))}"


def _part(words: dict[str, object]) -> str:
    return to_base64url(json.dumps(words, separators=(",", ":")).encode())


def _point(encoded: bytes) -> ec.EllipticCurvePublicKey:
    return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), encoded)


def _derived(secret: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=salt, info=info).derive(secret)
