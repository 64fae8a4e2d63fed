"""Templates: whose may be used, and what one may hold. Only its owner changes one (:func:`tracker.models.ownership.owned`)."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, col, or_, select

from tracker.locale import N_
from tracker.mail.fields import line_problem
from tracker.models import Account, Template, User
from tracker.outbound.placeholders import NAMES, used
from tracker.outbound.rich_text import plain, without_scripts
from tracker.runtime.database import now
from tracker.runtime.limits import MAX_SUBJECT
from tracker.runtime.localized_text import ActionError, LocalizedText

MAX_NAME = 100
MAX_HTML = 400_000


def usable(session: Session, user: User) -> list[Template]:
    """The templates that this person may begin with: their own, and those that colleagues share."""
    mine = or_(col(Template.user_id) == user.id, col(Template.shared))
    return list(session.exec(select(Template).where(mine).order_by(col(Template.name), col(Template.id))))


def find_usable(session: Session, user: User, public_id: str) -> Template | None:
    return (
        next((template for template in usable(session, user) if template.public_id == public_id), None)
        if public_id
        else None
    )


def save(session: Session, template: Template, values: Mapping[str, Any]) -> None:
    """A new template, or one changed: name, subject, html, shared as far as they are named.

    Raises :class:`ActionError`; the template then holds what was typed, and must not be stored.
    """
    for name, value in values.items():
        setattr(template, name, without_scripts(value) if name == "html" else value)
    problems = {
        "name": line_problem(template.name, MAX_NAME, N_("The name is missing. You choose the template by it.")),
        "subject": _subject_problem(template.subject),
        "html": _html_problem(template.html),
    }
    if wrong := {field: sentence for field, sentence in problems.items() if sentence is not None}:
        raise ActionError.of_fields(wrong)
    if unknown := [name for name in used(template.subject, template.html) if name not in NAMES]:
        sentence = LocalizedText(
            "{{%(name)s}} is no placeholder. These are: %(known)s.", name=unknown[0], known=", ".join(NAMES)
        )
        raise ActionError("invalid", sentence, "html", detail_code="placeholder_unknown")
    template.changed_at = now()
    session.add(template)


def _subject_problem(subject: str) -> LocalizedText | None:
    if len(subject) > MAX_SUBJECT:
        return LocalizedText("The subject is too long. Use 500 characters or fewer.")
    return None


def _html_problem(html: str) -> LocalizedText | None:
    if not plain(html).strip():
        return LocalizedText("The template is empty. Write what every message begins with.")
    if len(html) > MAX_HTML:
        return LocalizedText("The template is too large. Use smaller pictures, or attach them to the message.")
    return None


MAX_SIGNATURE = 200_000


def change_signature(session: Session, owner: User | Account, html: str) -> None:
    """An empty one of an account means the person's own. Raises :class:`ActionError`."""
    if len(html) > MAX_SIGNATURE:
        raise ActionError("invalid", LocalizedText("The signature is too large. Use a smaller picture."), "signature")
    html = without_scripts(html)
    owner.signature = html if plain(html).strip() or "<img" in html.lower() else ""
    session.add(owner)
