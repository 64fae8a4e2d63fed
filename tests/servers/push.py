"""A push service with one browser behind it: it reads what it is handed as the browser would (RFC 8291, written anew).

with push_service() as service:
    service.keys          # endpoint, p256dh and auth, as PushSubscription.toJSON() has them
    service.statuses = [503, 201]
    service.messages      # decrypted
"""

import hmac
import json
import threading
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

AUTH = bytes(range(16))


@dataclass
class PushService:
    """`statuses` are answers in order, the last one for good; `requests` is everything that came."""

    url: str
    key: ec.EllipticCurvePrivateKey = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    statuses: list[int] = field(default_factory=lambda: [201])
    headers: dict[str, str] = field(default_factory=dict)
    requests: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def keys(self) -> dict[str, str]:
        return {"endpoint": self.url, "p256dh": _text(_point(self.key)), "auth": _text(AUTH)}

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [json.loads(self.read(body)) for _, body in self.requests]

    def read(self, body: bytes) -> bytes:
        salt, record, length = body[:16], int.from_bytes(body[16:20]), body[20]
        theirs, cipher = body[21 : 21 + length], body[21 + length :]
        assert len(cipher) <= record, "one record"
        shared = self.key.exchange(ec.ECDH(), ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), theirs))
        info = b"WebPush: info\0" + _point(self.key) + theirs
        secret = _expand(_extract(AUTH, shared), info, 32)
        prk = _extract(salt, secret)
        key = _expand(prk, b"Content-Encoding: aes128gcm\0", 16)
        nonce = _expand(prk, b"Content-Encoding: nonce\0", 12)
        plain = AESGCM(key).decrypt(nonce, cipher, None).rstrip(b"\0")
        assert plain.endswith(b"\x02"), "the last record is marked"
        return plain[:-1]

    def claims(self, number: int = 0) -> tuple[dict[str, Any], str]:
        """What the sender says of itself, once its signature was checked, and the key that it names."""
        scheme, _, words = self.requests[number][0]["authorization"].partition(" ")
        assert scheme == "vapid"
        parts = dict(part.strip().split("=", 1) for part in words.split(","))
        head, claims, signature = parts["t"].split(".")
        assert json.loads(_bytes(head)) == {"typ": "JWT", "alg": "ES256"}
        r, s = int.from_bytes(_bytes(signature)[:32]), int.from_bytes(_bytes(signature)[32:])
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _bytes(parts["k"]))
        key.verify(encode_dss_signature(r, s), f"{head}.{claims}".encode(), ec.ECDSA(SHA256()))
        return json.loads(_bytes(claims)), parts["k"]


@contextmanager
def push_service() -> Iterator[PushService]:
    service = PushService("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            service.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
            self.send_response(service.statuses.pop(0) if len(service.statuses) > 1 else service.statuses[0])
            for name, value in {"content-length": "0", **service.headers}.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    service.url = f"http://127.0.0.1:{server.server_port}/push/a-browser"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        server.server_close()


def _extract(salt: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt, secret, "sha256")


def _expand(secret: bytes, info: bytes, length: int) -> bytes:
    return HKDFExpand(algorithm=SHA256(), length=length, info=info).derive(secret)


def _point(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _text(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
