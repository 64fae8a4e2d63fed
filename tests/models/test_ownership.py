"""Looking up what belongs to somebody: one's own, and nothing else, on both engines."""

from datetime import datetime

import pytest
from sqlmodel import Session

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tracker.models import Account, User
from tracker.models.ownership import find_owned, owned, owned_rows
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError


def two_people(session: Session) -> tuple[User, User]:
    alice, bob = User(email="alice@example.com", name="Alice"), User(email="bob@example.com", name="Bob")
    session.add_all([alice, bob])
    session.flush()
    return alice, bob


def account_of(session: Session, user: User, removed_at: datetime | None = None) -> Account:
    account = Account(
        user_id=user.id or 0,
        name=user.name,
        address=user.email,
        smtp_host="smtp.example.com",
        smtp_port=587,
        smtp_security="starttls",
        removed_at=removed_at,
    )
    session.add(account)
    session.flush()
    return account


def test_ones_own_is_there_and_somebody_elses_is_not(context: AppContext) -> None:  # noqa: F811
    with context.database.session_scope() as session:
        alice, bob = two_people(session)
        account = account_of(session, alice)
        assert owned(session, Account, alice, account.public_id) is account
        with pytest.raises(ActionError, match="no such account") as refusal:
            owned(session, Account, bob, account.public_id)
        assert refusal.value.code == "not_found"


def test_what_was_removed_is_not_there_any_more(context: AppContext) -> None:  # noqa: F811
    with context.database.session_scope() as session:
        alice, _bob = two_people(session)
        account = account_of(session, alice, removed_at=now())
        assert find_owned(session, Account, alice, account.public_id) is None
        assert session.exec(owned_rows(Account, alice)).all() == []


@pytest.mark.parametrize("public_id", ["", "\0", "a\0b", "a" * 17, "id with spaces", "café"])
def test_what_can_be_no_public_id_is_not_looked_for(context: AppContext, public_id: str) -> None:  # noqa: F811
    with context.database.session_scope() as session:
        alice, _bob = two_people(session)
        assert find_owned(session, Account, alice, public_id) is None
