"""Signatures: one of a person's own, and another one for any account that wants it."""

from sqlmodel import Session

from tracker.models import Account, User
from tracker.outbound.rich_text import plain, without_scripts
from tracker.runtime.localized_text import ActionError, LocalizedText

MAX_SIGNATURE = 200_000


def change_signature(session: Session, owner: User | Account, html: str) -> None:
    """An empty one of an account means the person's own. Raises :class:`ActionError`."""
    if len(html) > MAX_SIGNATURE:
        raise ActionError("invalid", LocalizedText("The signature is too large. Use a smaller picture."), "signature")
    html = without_scripts(html)
    owner.signature = html if plain(html).strip() or "<img" in html.lower() else ""
    session.add(owner)
