"""Taking back what was not handed over yet."""

from collections.abc import Sequence

from sqlmodel import Session, col, delete, select

from tracker.models import Attachment, Delivery, DeliveryStatus, Message, MessageBody, MessageState, TrackedLink
from tracker.notifications.notify import announce
from tracker.outbound.draft import Draft, OutgoingFile
from tracker.outbound.draft_form import ROLES, form_text, read_form
from tracker.outbound.gateway.submitted_text import files
from tracker.outbound.message_links import snippet_of
from tracker.outbound.send import keep_attachments
from tracker.outbound.send_quota import HANDED_OVER
from tracker.runtime.database import now
from tracker.runtime.lease import held_subjects
from tracker.runtime.localized_text import ActionError, LocalizedText


def cancel(session: Session, message: Message) -> None:
    """Takes back what was not handed over yet: the message is a draft again.

    Raises :class:`ActionError` ``conflict`` when some of it is already on its way, or nothing ever was.
    """
    deliveries = session.exec(select(Delivery).where(Delivery.message_id == message.id).with_for_update()).all()
    untouched = all(d.status == DeliveryStatus.QUEUED and d.tries == 0 for d in deliveries)
    if not deliveries or not untouched or _is_under_way(session, deliveries):
        raise ActionError("conflict", LocalizedText("Too late: the message has already been handed over."))
    _back_to_draft(session, message, deliveries)
    announce(session, message.user_id, "message", message.public_id)


def _is_under_way(session: Session, deliveries: Sequence[Delivery]) -> bool:
    """Whether one of them is being handed over. Asked when they are held: whoever claims one looks at it afterwards."""
    held = held_subjects(session, HANDED_OVER)
    return any(str(delivery.id) in held for delivery in deliveries)


def _back_to_draft(session: Session, message: Message, deliveries: Sequence[Delivery]) -> None:
    body = session.get_one(MessageBody, message.id)
    form = read_form(body) or {role: ", ".join(d.address for d in deliveries if d.role == role) for role in ROLES}
    _keep_submitted_files(session, message, body)
    if html := form.pop("html", ""):
        body.html, body.text = html, None
    message.subject = form.pop("subject", "") or message.subject
    message.snippet = snippet_of(body.html, body.text)
    body.recipients, body.raw = form_text(form), None
    session.exec(delete(TrackedLink).where(col(TrackedLink.message_id) == message.id))
    session.exec(delete(Delivery).where(col(Delivery.message_id) == message.id))
    message.state, message.listed_at, message.send_at = MessageState.DRAFT, now(), None
    message.opens_tracked = message.clicks_tracked = 0
    message.sent_copy, message.follow_up_at, message.follow_up_due_at = "none", None, None
    session.add_all([body, message])


def _keep_submitted_files(session: Session, message: Message, body: MessageBody) -> None:
    """A message that a mail program submitted has its files in itself alone; as a draft it has them beside it."""
    attachment = session.exec(select(Attachment.id).where(Attachment.message_id == message.id)).first()
    if attachment is None and message.has_attachments and body.raw:
        outgoing_files = tuple(OutgoingFile(*file) for file in files(body.raw))
        keep_attachments(session, message.id, Draft(attachments=outgoing_files), was_draft=False)
