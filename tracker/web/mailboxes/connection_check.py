"""The connection test that follows every change of a mailbox."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.inbound.check import check_mailbox
from tracker.locale import _, localize
from tracker.models import Mailbox, MailboxState, User
from tracker.runtime.localized_text import ActionError
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
        told = _("The integration works: %(address)s is connected, and its letters are being loaded.")
        return redirect(BASE_PATH, told % {"address": mailbox.address})
    if finding.state == MailboxState.THROTTLED:
        return redirect(BASE_PATH, localize(finding.detail), kind="problem")
    return redirect(there, _("Saved, but it does not work yet. See below what is wrong."), kind="problem")
