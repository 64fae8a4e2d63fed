"""Connecting a mailbox by signing in at Google or Microsoft: what is granted becomes credentials, and these a mailbox."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.inbound.mailboxes import sign_in_mailbox
from tracker.mail.oauth_providers import Granted, Provider
from tracker.models import Mailbox, User
from tracker.models.ownership import owned
from tracker.web.accounts import oauth_page
from tracker.web.http.templating import context_of
from tracker.web.mailboxes.connection_check import tested


def complete(request: Request, user: User, provider: Provider, granted: Granted, subject: str) -> Response:
    """After a sign-in at a provider: the mailbox (a new one when ``subject`` is empty) signs in that way from now on."""
    context = context_of(request)
    with context.database.session_scope() as session:
        mailbox = owned(session, Mailbox, user, subject) if subject else None
        mailbox = sign_in_mailbox(context, session, user, provider, granted, mailbox)
    return tested(request, user, mailbox)


def _proposed_login(request: Request, user: User, subject: str) -> str:
    if not subject:
        return ""
    with context_of(request).database.reading() as session:
        return owned(session, Mailbox, user, subject).address


oauth_page.purpose(
    "mailbox",
    finish=complete,
    back=lambda subject: f"/mailboxes/{subject or 'new'}",
    owned=_proposed_login,
)
