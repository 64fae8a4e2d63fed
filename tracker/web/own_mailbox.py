"""Finding mailboxes and credentials of one's own. Somebody else's are not there, as if they did not exist."""

from collections.abc import Sequence

from sqlmodel import Session, col, select
from starlette.exceptions import HTTPException

from tracker.inbound.credentials import MailboxError, mailboxes_of
from tracker.models import Credential, Mailbox, User
from tracker.sentences import Sentence


def own_mailbox(session: Session, user: User, public_id: str) -> Mailbox:
    """404 for a mailbox that is somebody else's, removed, or none."""
    mine = select(Mailbox).where(Mailbox.user_id == user.id, Mailbox.public_id == public_id)
    mailbox = session.exec(mine.where(col(Mailbox.removed_at).is_(None))).first()
    if mailbox is None:
        raise HTTPException(404)
    return mailbox


def own_credential(session: Session, user: User, public_id: str) -> Credential:
    """Raises :class:`MailboxError` for credentials that are somebody else's, or none."""
    mine = select(Credential).where(Credential.user_id == user.id, Credential.public_id == public_id)
    credential = session.exec(mine).first()
    if credential is None:
        text = Sentence("These credentials are not there any more. Choose others.")
        raise MailboxError("unknown", "credential", text)
    return credential


def connected(session: Session, user: User) -> Sequence[Mailbox]:
    """The person's mailboxes that are not removed, in the order they were connected."""
    mine = select(Mailbox).where(Mailbox.user_id == user.id, col(Mailbox.removed_at).is_(None))
    return session.exec(mine.order_by(col(Mailbox.id))).all()


def credential_of(session: Session, mailbox: Mailbox) -> Credential | None:
    return session.get(Credential, mailbox.credential_id) if mailbox.credential_id else None


def unused_credentials(session: Session, user: User) -> list[Credential]:
    """The person's credentials that no connected mailbox uses."""
    mine = select(Credential).where(Credential.user_id == user.id).order_by(col(Credential.id))
    return [one for one in session.exec(mine) if not mailboxes_of(session, one)]
