"""What a person wants to send, as plain values, and the checks that need no server."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tracker.mail.addresses import Address, AddressError, lookup_form
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_ATTACHMENT_BYTES, MAX_BODY_BYTES, MAX_RECIPIENTS, MAX_SUBJECT
from tracker.runtime.localized_text import LocalizedError, LocalizedText

CLOCK_SKEW = timedelta(minutes=1)
FURTHEST = timedelta(days=3653)


class SendError(LocalizedError):
    """A message that cannot be accepted: ``field`` says where, ``code`` is stable, the text is a sentence for the sender."""

    def __init__(self, field: str, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.code = code


@dataclass(frozen=True)
class OutgoingFile:
    """An attachment; with ``cid`` it is an image inside the HTML."""

    filename: str
    content_type: str
    content: bytes
    cid: str | None = None


@dataclass(frozen=True)
class Draft:
    """A message to be sent. ``None`` for a tracking switch means the person's default."""

    account_id: int | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    subject: str = ""
    html: str | None = None
    text: str | None = None
    html_parts: tuple[str, ...] = ()
    """The documents that ``html`` is put together of, where a mail program wrote several."""
    attachments: tuple[OutgoingFile, ...] = ()
    track_opens: bool | None = None
    track_links: bool | None = None
    untracked_links: frozenset[str] = field(default_factory=frozenset)
    send_at: datetime | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    follow_up_days: int | None = None
    undo_seconds: int | None = None

    def addressees(self) -> list[tuple[str, Address]]:
        """Role and mailbox of everybody, each person once: To before Cc before Bcc."""
        seen: set[str] = set()
        everybody: list[tuple[str, Address]] = []
        for role, mailboxes in (("to", self.to), ("cc", self.cc), ("bcc", self.bcc)):
            everybody += [(role, m) for m in mailboxes if _first(m, role, seen)]
        return everybody


def _first(mailbox: Address, role: str, seen: set[str]) -> bool:
    try:
        form = lookup_form(mailbox.address)
    except AddressError as error:
        raise SendError(role, error.code, error.sentence) from None
    known = form in seen
    seen.add(form)
    return not known


def check(draft: Draft) -> None:
    """Raises :class:`SendError` for the first thing that stands in the way."""
    everybody = draft.addressees()
    if not everybody:
        raise SendError("to", "empty", LocalizedText("Nobody to send to. Give at least one address."))
    if len(everybody) > MAX_RECIPIENTS:
        raise SendError(
            "to",
            "too_many",
            LocalizedText(
                "%(count)s recipients are too many; one message may have %(most)s.",
                count=len(everybody),
                most=MAX_RECIPIENTS,
            ),
        )
    if any(c in draft.subject for c in "\r\n\0"):
        raise SendError("subject", "line_break", LocalizedText("The subject holds a line break. Write it in one line."))
    if len(draft.subject) > MAX_SUBJECT:
        raise SendError(
            "subject",
            "too_long",
            LocalizedText(
                "The subject has %(count)s characters; %(most)s are allowed.",
                count=len(draft.subject),
                most=MAX_SUBJECT,
            ),
        )
    if not (draft.html or "").strip() and not (draft.text or "").strip() and not draft.attachments:
        raise SendError("html", "empty", LocalizedText("The message is empty. Write something or attach a file."))
    if draft.send_at is not None:
        check_send_at(draft.send_at)
    _check_sizes(draft)


def check_send_at(at: datetime) -> None:
    """Raises :class:`SendError` for a time that has passed, or that is further off than anybody plans mail. A clock may go wrong by
    a minute."""
    if at < now() - CLOCK_SKEW:
        text = LocalizedText("This time is past. Choose a later one, or leave it empty to send now.")
        raise SendError("send_at", "past", text)
    if at > now() + FURTHEST:
        raise SendError(
            "send_at", "too_far", LocalizedText("This time is more than ten years off. Choose an earlier one.")
        )


def _check_sizes(draft: Draft) -> None:
    for name, body in (("html", draft.html), ("text", draft.text)):
        if body and len(body.encode(errors="replace")) > MAX_BODY_BYTES:
            raise SendError(
                name,
                "too_large",
                LocalizedText(
                    "The text is larger than %(most)s MB. Attach it as a file instead.", most=_mb(MAX_BODY_BYTES)
                ),
            )
    check_attachment_sizes(len(file.content) for file in draft.attachments)


def check_attachment_sizes(sizes: Iterable[int]) -> None:
    """Raises :class:`SendError` when attachments are too large together."""
    total = sum(sizes)
    if total > MAX_ATTACHMENT_BYTES:
        text = LocalizedText(
            "The attachments have %(size)s MB together; %(most)s MB is what mail servers take. Send a link to the file instead.",
            size=_mb(total),
            most=_mb(MAX_ATTACHMENT_BYTES),
        )
        raise SendError("attachments", "too_large", text)


def _mb(size: int) -> str:
    return f"{size / 1024 / 1024:.0f}"
