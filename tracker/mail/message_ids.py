"""Message-IDs of ours: ``<kind-id-hmac16@domain>``. Nobody else can make one, so an answer that names one answers us.

``kind`` is ``m`` for a message of a person's and ``n`` for a notice of the product's own; ``id`` is the public id of the row.
"""

import hmac
from dataclasses import dataclass

from tracker.mail.id_form import SHAPE
from tracker.runtime.keyring import Keyring

NOTICE_HEADER = "X-Inkling-Notification"
"""Stands in every mail that the product sends by itself; its value is signed over the Message-ID."""


@dataclass(frozen=True)
class OwnId:
    """What a Message-ID of our form says, and whether its signature is right."""

    kind: str
    id: str
    genuine: bool


def new_id(keyring: Keyring, kind: str, id: str, domain: str) -> str:
    """A Message-ID with its angle brackets."""
    return f"<{kind}-{id}-{keyring.digest(_signed(kind, id))[:16]}@{domain}>"


def read_id(keyring: Keyring, message_id: str) -> OwnId | None:
    """What it says; None when it is not of our form."""
    match = SHAPE.fullmatch(message_id.strip())
    if match is None:
        return None
    kind, id, digest_given = match.groups()
    right = [digest[:16] for digest in keyring.digests(_signed(kind, id))]
    return OwnId(kind, id, any(hmac.compare_digest(digest_given, expected) for expected in right))


def notice_mark(keyring: Keyring, message_id: str) -> str:
    """The value of :data:`NOTICE_HEADER` for the notice with this Message-ID."""
    return keyring.digest(_notice(message_id))[:32]


def is_notice(keyring: Keyring, message_id: str, mark: str) -> bool:
    """Whether a letter with this Message-ID and mark was sent by the product itself."""
    return any(
        hmac.compare_digest(mark.strip().encode("utf-8", "replace"), digest[:32].encode())
        for digest in keyring.digests(_notice(message_id))
    )


def _signed(kind: str, id: str) -> str:
    return f"message-id:{kind}:{id}"


def _notice(message_id: str) -> str:
    return f"notice:{message_id.strip().strip('<>')}"
