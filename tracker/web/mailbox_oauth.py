"""Connecting a mailbox by signing in at Google or Microsoft: what is granted becomes credentials, and these a mailbox."""

from sqlmodel import Session, select
from starlette.requests import Request
from starlette.responses import Response

from tracker.house import House
from tracker.inbound.credentials import (
    MailboxError,
    change_credential,
    mailboxes_of,
    make_credential,
    sign_in_by,
)
from tracker.inbound.mailboxes import check_soon, connect_mailbox, credential_changed
from tracker.models import Credential, Mailbox, User
from tracker.oauth import OAuthError, keep_grant
from tracker.oauth_providers import Granted, Provider
from tracker.sentences import Sentence
from tracker.web import oauth_page
from tracker.web.mailbox_test import tested
from tracker.web.own_mailbox import credential_of, own_mailbox
from tracker.web.page import house

PRESETS = {"google": "gmail", "microsoft": "microsoft"}


def take_grant(request: Request, user: User, provider: Provider, granted: Granted, subject: str) -> Response:
    """After a sign-in at a provider: the mailbox (a new one when ``subject`` is empty) signs in that way from now on."""
    here = house(request)
    try:
        with here.database.session_scope() as session:
            mailbox = own_mailbox(session, user, subject) if subject else None
            mailbox = _connect(here, session, user, provider, granted, mailbox)
    except MailboxError as error:
        raise OAuthError("needs_sign_in", error.sentence) from None
    return tested(request, user, mailbox)


def _connect(
    here: House, session: Session, user: User, provider: Provider, granted: Granted, mailbox: Mailbox | None
) -> Mailbox:
    credential = credential_of(session, mailbox) if mailbox is not None else None
    address = granted.address or (credential.login if credential is not None else None)
    if address is None:
        text = Sentence("%(provider)s did not say whose mailbox it is.", provider=provider.name)
        raise OAuthError("needs_sign_in", text)
    assert user.id is not None
    grant = keep_grant(here, session, user.id, provider, granted, address)
    facts = {"preset": PRESETS.get(provider.key, "other"), "login": address, "auth": "oauth", "protocol": "imap"}
    credential = credential or _unused(session, user, address)
    if credential is None:
        credential = make_credential(session, here, user.id, **facts)
    else:
        change_credential(session, here, credential, **facts)
    sign_in_by(credential, grant)
    session.add(credential)
    session.flush()
    if mailbox is None:
        return connect_mailbox(session, user.id, credential)
    credential_changed(session, credential)
    check_soon(mailbox, credential)
    session.add(mailbox)
    return mailbox


def _unused(session: Session, user: User, login: str) -> Credential | None:
    mine = select(Credential).where(Credential.user_id == user.id, Credential.login == login)
    return next((one for one in session.exec(mine) if not mailboxes_of(session, one)), None)


def _proposed_login(request: Request, user: User, subject: str) -> str:
    if not subject:
        return ""
    with house(request).database.reading() as session:
        return own_mailbox(session, user, subject).address


oauth_page.purpose(
    "mailbox",
    finish=take_grant,
    back=lambda subject: f"/mailboxes/{subject or 'new'}",
    owned=_proposed_login,
)
