"""The rows, by subject. Importing this package registers every table."""

from tracker.models.activity import (
    DrainCursor,
    Event,
    FeedItem,
    HitAside,
    HitEvidence,
    Notification,
    Verdict,
    WorkerBeat,
)
from tracker.models.idempotency import IdempotencyKey
from tracker.models.mail import (
    Account,
    Attachment,
    Delivery,
    DeliveryStatus,
    Message,
    MessageBody,
    MessageState,
    TrackedLink,
)
from tracker.models.people import (
    ApiToken,
    ConsentEntry,
    Preference,
    Recipient,
    Role,
    SignInFailure,
    User,
    UserSession,
)

__all__ = [
    "Account",
    "ApiToken",
    "Attachment",
    "ConsentEntry",
    "Delivery",
    "DeliveryStatus",
    "DrainCursor",
    "Event",
    "FeedItem",
    "HitAside",
    "HitEvidence",
    "IdempotencyKey",
    "Message",
    "MessageBody",
    "MessageState",
    "Notification",
    "Preference",
    "Recipient",
    "Role",
    "SignInFailure",
    "TrackedLink",
    "User",
    "UserSession",
    "Verdict",
    "WorkerBeat",
]
