"""People, their tokens, the workspace's policy, sending addresses."""

import argparse
import getpass
import sys

from sqlmodel import Session, col, select

from tracker.addresses import AddressError, lookup_form
from tracker.commands import CommandError
from tracker.commands.houses import wired_house
from tracker.consent import CeilingError, Pack
from tracker.db import now
from tracker.models import Account, ApiToken, User, UserSession
from tracker.preferences import set_policy as choose_policy
from tracker.preferences import set_preference
from tracker.secrets import hash_password, new_token, token_digest

MIN_PASSWORD = 10


def add_user(words: argparse.Namespace) -> int:
    """Adds a person; the password comes from standard input or is asked for."""
    email, name = _address(words.email), _label(words.name, 200)
    password = _password(f"Password for {email}: ", words.password_stdin)
    if len(password) < MIN_PASSWORD:
        raise CommandError(f"The password must have {MIN_PASSWORD} characters or more.")
    with wired_house() as house, house.database.session_scope() as session:
        if session.exec(select(User).where(User.email == email)).first():
            raise CommandError(f"{email} is here already.")
        session.add(User(email=email, name=name, role=words.role, password_hash=hash_password(password)))
        set_preference(session, "set_up", True)
    print(f"Added {email}.")
    return 0


def list_users(_words: argparse.Namespace) -> int:
    """One person a line."""
    with wired_house() as house, house.database.reading() as session:
        for user in session.exec(select(User).order_by(col(User.email))):
            print(f"{user.email}\t{user.name}\t{user.role}\t{'active' if user.active else 'disabled'}")
    return 0


def disable_user(words: argparse.Namespace) -> int:
    """Ends a person's access at once: sign-ins and tokens too. Mail and tracking data stay theirs."""
    with wired_house() as house, house.database.session_scope() as session:
        user = _user(session, words.email)
        user.active = False
        session.add(user)
        for sign_in in session.exec(select(UserSession).where(UserSession.user_id == user.id)):
            session.delete(sign_in)
        for token in session.exec(
            select(ApiToken).where(ApiToken.user_id == user.id, col(ApiToken.revoked_at).is_(None))
        ):
            token.revoked_at = now()
            session.add(token)
    print(f"Disabled {user.email}.")
    return 0


def add_token(words: argparse.Namespace) -> int:
    """Prints a new token: the only time anybody sees it."""
    token, name = new_token(), _label(words.name, 100)
    with wired_house() as house, house.database.session_scope() as session:
        user = _user(session, words.user)
        if not user.active:
            raise CommandError(f"{user.email} is disabled; a token would open nothing.")
        assert user.id is not None
        session.add(ApiToken(user_id=user.id, name=name, token_digest=token_digest(token)))
    print(token)
    return 0


def list_tokens(_words: argparse.Namespace) -> int:
    """One token a line: id, whose, label, state."""
    with wired_house() as house, house.database.reading() as session:
        for token, email in session.exec(select(ApiToken, User.email).join(User).order_by(col(ApiToken.id))):
            state = "revoked" if token.revoked_at else "active"
            used = token.used_at.strftime("%Y-%m-%d") if token.used_at else "never used"
            print(f"{token.public_id}\t{email}\t{token.name}\t{state}\t{used}")
    return 0


def revoke_token(words: argparse.Namespace) -> int:
    """Ends a token at once."""
    with wired_house() as house, house.database.session_scope() as session:
        token = session.exec(select(ApiToken).where(ApiToken.public_id == words.id)).first()
        if token is None:
            raise CommandError(f"There is no token {words.id}. See: inkling token list")
        token.revoked_at = token.revoked_at or now()
        session.add(token)
    print(f"Revoked {words.id}.")
    return 0


def set_policy(words: argparse.Namespace) -> int:
    """Chooses the consent policy of the workspace."""
    with wired_house() as house, house.database.session_scope() as session:
        try:
            choose_policy(session, Pack(words.policy), words.reason, ceiling=house.ceiling)
        except CeilingError as error:
            raise CommandError(str(error)) from None
        except ValueError as error:
            raise CommandError(f"{error} Give it with --reason.") from None
    print(f"The consent policy is “{words.policy}”.")
    return 0


def confirm_account(words: argparse.Namespace) -> int:
    """The operator vouches for a sending address."""
    form = _address(words.address)
    with wired_house() as house, house.database.session_scope() as session:
        accounts = [
            a
            for a in session.exec(select(Account).where(col(Account.removed_at).is_(None)))
            if lookup_form(a.address) == form
        ]
        if not accounts:
            raise CommandError(f"No account sends as {form}.")
        for account in accounts:
            account.confirmed_at = account.confirmed_at or now()
            session.add(account)
    print(f"Confirmed {form}.")
    return 0


def _label(text: str, longest: int) -> str:
    label = " ".join(text.split())
    if not label or len(label) > longest or not label.isprintable():
        raise CommandError(f"--name must be one line of 1 to {longest} characters.")
    return label


def _password(prompt: str, from_input: bool) -> str:
    try:
        return sys.stdin.buffer.readline().decode().rstrip("\r\n") if from_input else getpass.getpass(prompt)
    except (EOFError, UnicodeDecodeError):
        raise CommandError("No password was given. Type it, or give it with --password-stdin as UTF-8.") from None


def _address(text: str) -> str:
    try:
        return lookup_form(text)
    except AddressError as error:
        raise CommandError(str(error)) from None


def _user(session: Session, email: str) -> User:
    user = session.exec(select(User).where(User.email == _address(email))).first()
    if user is None:
        raise CommandError(f"Nobody here has the address {email}. See: inkling user list")
    return user
