"""People, their tokens, the workspace's policy, sending addresses."""

import argparse
import getpass
import sys

from sqlmodel import Session, col, select

from tracker import users
from tracker.commands import CommandError
from tracker.commands.contexts import open_context
from tracker.consent.preferences import operator_ceiling
from tracker.consent.preferences import set_policy as choose_policy
from tracker.mail.addresses import AddressError, lookup_form
from tracker.models import ApiToken, User
from tracker.outbound.accounts import confirm_accounts


def add_user(words: argparse.Namespace) -> int:
    """Adds a person; the password comes from standard input or is asked for."""
    password = _password(f"Password for {words.email}: ", words.password_stdin)
    with open_context() as context, context.database.session_scope() as session:
        user = users.add(session, email=words.email, name=words.name, role=words.role, password=password)
    print(f"Added {user.email}.")
    return 0


def list_users(_words: argparse.Namespace) -> int:
    """One person a line."""
    with open_context() as context, context.database.reading() as session:
        for user in session.exec(select(User).order_by(col(User.email))):
            print(f"{user.email}\t{user.name}\t{user.role}\t{'active' if user.active else 'disabled'}")
    return 0


def disable_user(words: argparse.Namespace) -> int:
    """Ends a person's access at once: sign-ins and tokens too. Mail and tracking data stay theirs."""
    with open_context() as context, context.database.session_scope() as session:
        user = _user(session, words.email)
        users.disable(session, user)
    print(f"Disabled {user.email}.")
    return 0


def add_token(words: argparse.Namespace) -> int:
    """Prints a new token: the only time anybody sees it."""
    with open_context() as context, context.database.session_scope() as session:
        _row, token = users.add_token(session, _user(session, words.user), words.name)
    print(token)
    return 0


def list_tokens(_words: argparse.Namespace) -> int:
    """One token a line: id, whose, label, state."""
    with open_context() as context, context.database.reading() as session:
        for token, email in session.exec(select(ApiToken, User.email).join(User).order_by(col(ApiToken.id))):
            state = "revoked" if token.revoked_at else "active"
            used = token.used_at.strftime("%Y-%m-%d") if token.used_at else "never used"
            print(f"{token.public_id}\t{email}\t{token.name}\t{state}\t{used}")
    return 0


def revoke_token(words: argparse.Namespace) -> int:
    """Ends a token at once."""
    with open_context() as context, context.database.session_scope() as session:
        token = session.exec(select(ApiToken).where(ApiToken.public_id == words.id)).first()
        if token is None:
            raise CommandError(f"There is no token {words.id}. See: inkling token list")
        users.revoke_token(session, token)
    print(f"Revoked {words.id}.")
    return 0


def set_policy(words: argparse.Namespace) -> int:
    """Chooses the consent policy of the workspace."""
    with open_context() as context, context.database.session_scope() as session:
        choose_policy(session, words.policy, words.reason, ceiling=operator_ceiling(context))
    print(f"The consent policy is “{words.policy}”.")
    return 0


def confirm_account(words: argparse.Namespace) -> int:
    """The operator vouches for a sending address."""
    form = _address(words.address)
    with open_context() as context, context.database.session_scope() as session:
        if not confirm_accounts(session, form):
            raise CommandError(f"No account sends as {form}.")
    print(f"Confirmed {form}.")
    return 0


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
    user = users.find_by_email(session, email)
    if user is None:
        raise CommandError(f"Nobody here has the address {email}. See: inkling user list")
    return user
