"""A mailbox just connected or changed: the test that follows, and the sign-in at its provider."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.inbound.fetch.check import check_mailbox
from tracker.inbound.mailboxes import sign_in_mailbox
from tracker.locale import _, localize
from tracker.mail.oauth_providers import Granted, Provider
from tracker.models import Mailbox, MailboxState, User
from tracker.models.ownership import owned
from tracker.runtime.localized_text import ActionError
from tracker.web.accounts.oauth_page import PURPOSES, OAuthPurpose
from tracker.web.http.templating import context_of, redirect
from tracker.web.http.throttle import connection_tests

BASE_PATH = "/mailboxes"


def tested(request: Request, user: User, mailbox: Mailbox) -> Response:
    """Signs in and says how that went: on the list when it works, else where it can be mended."""
    assert mailbox.id is not None
    there = f"{BASE_PATH}/{mailbox.public_id}"
    try:
        connection_tests.take(user)
    except ActionError:
        return redirect(BASE_PATH, _("Saved. Too many tests; this one follows in a minute."), kind="problem")
    finding = check_mailbox(context_of(request), mailbox.id)
    if finding.state == MailboxState.ACTIVE:
        sentence = _("The integration works: %(address)s is connected, and its letters are being loaded.")
        return redirect(BASE_PATH, sentence % {"address": mailbox.address})
    if finding.state == MailboxState.THROTTLED:
        return redirect(BASE_PATH, localize(finding.detail), kind="problem")
    return redirect(there, _("Saved, but it does not work yet. See below what is wrong."), kind="problem")


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


PURPOSES["mailbox"] = OAuthPurpose(complete, lambda subject: f"/mailboxes/{subject or 'new'}", _proposed_login)
