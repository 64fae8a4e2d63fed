"""Looking up what belongs to somebody. Somebody else's is not there, nor what was removed: the three look the same."""

import re
from collections.abc import Mapping
from typing import TypeVar

from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar

from tracker.models import (
    Account,
    ApiToken,
    Credential,
    Letter,
    Mailbox,
    Message,
    Notification,
    SavedView,
    Site,
    SiteBlock,
    SiteRule,
    SiteSource,
    Template,
    User,
    Visit,
    WebhookEndpoint,
)
from tracker.models.rows import PublicRow
from tracker.runtime.localized_text import ActionError

Owned = TypeVar("Owned", bound=PublicRow)
"""Anything with a public id and the number of a person in ``user_id``."""

_PUBLIC_ID = re.compile(r"[A-Za-z0-9_-]{1,16}")
_NOT_FOUND: Mapping[type, str] = {
    Account: "There is no such account.",
    ApiToken: "There is no such token.",
    Credential: "There are no such credentials.",
    Letter: "There is no such letter.",
    Mailbox: "There is no such mailbox.",
    Message: "There is no such message.",
    Notification: "There is no such notification.",
    SavedView: "There is no such view.",
    Site: "There is no such site.",
    SiteBlock: "There is no such block.",
    SiteRule: "There is no such rule.",
    SiteSource: "There is no such source.",
    Template: "There is no such template.",
    Visit: "There is no such visit.",
    WebhookEndpoint: "There is no such webhook.",
}


def owned(session: Session, model: type[Owned], user: User, public_id: str) -> Owned:
    """The row with this public id. Raises :class:`ActionError` ``not_found``."""
    row = find_owned(session, model, user, public_id)
    if row is None:
        raise ActionError("not_found", _NOT_FOUND[model])
    return row


def find_owned(session: Session, model: type[Owned], user: User, public_id: str) -> Owned | None:
    """The same, or None. Any text will do for ``public_id``: what can be none never reaches PostgreSQL, which refuses NUL."""
    if not is_public_id(public_id):
        return None
    return session.exec(owned_rows(model, user).where(col(model.public_id) == public_id)).first()


def owned_rows(model: type[Owned], user: User) -> SelectOfScalar[Owned]:
    """The query of everything of this kind that belongs to ``user`` and was not removed."""
    query = select(model).filter_by(user_id=user.id)
    for name in ("removed_at", "deleted_at"):
        if hasattr(model, name):
            query = query.where(col(getattr(model, name)).is_(None))
    return query


def is_public_id(text: str) -> bool:
    """Whether a text out of an address can be a public id at all."""
    return _PUBLIC_ID.fullmatch(text) is not None
