"""How my mail arrives: a test to oneself is sent, and read again while the page waits."""

import smtplib

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tracker.connect import ConnectError
from tracker.locale import gettext as _
from tracker.locale import said
from tracker.models import User
from tracker.outgoing.self_test import TEST_ID, has_arrived, read_test, send_test
from tracker.web.accounts_page import HERE, own_account
from tracker.web.api.budget import Budget
from tracker.web.auth import action, page
from tracker.web.domain_page import grades
from tracker.web.page import house, redirect, render

_sent = Budget(most=5, per_seconds=300)
_looks = Budget(most=60, per_seconds=300)


@action
def send(request: Request, user: User, _form: FormData) -> Response:
    with house(request).database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    back = f"{HERE}/{account.public_id}"
    if not account.imap_host:
        return redirect(back, _("The test is read over IMAP, which is not set up for this account."), kind="problem")
    if _sent.wait(user.public_id):
        return redirect(back, _("That were many tests. Wait some minutes."), kind="problem")
    try:
        test_id = send_test(house(request), account)
    except (ConnectError, OSError, smtplib.SMTPException) as error:
        reason = said(error.sentence) if isinstance(error, ConnectError) else type(error).__name__
        return redirect(back, _("The test could not be sent: %(reason)s") % {"reason": reason}, kind="problem")
    return redirect(f"{back}/test-mail/{test_id}")


@page
def look(request: Request, user: User) -> Response:
    """The page at once; what the mailbox says only when it is asked for, by the page's script or by the link."""
    test_id = request.path_params["test"]
    if not TEST_ID.fullmatch(test_id):
        raise HTTPException(404)
    with house(request).database.reading() as session:
        account = own_account(session, user, request.path_params["id"])
    wanted = {"part", "look"} & set(request.query_params)
    if wanted and _looks.wait(user.public_id):
        return redirect(f"{HERE}/{account.public_id}", _("That were many tests. Wait some minutes."), kind="problem")
    advice = read_test(house(request), account, test_id) if wanted else None
    context = {
        "account": account,
        "here": request.url.path,
        "advice": advice,
        "grades": grades(),
        "waits": advice is None or not has_arrived(advice),
    }
    part = "part" in request.query_params
    return render(request, "_settings_test_mail.html" if part else "settings_test_mail.html", context)


routes = [
    Route(f"{HERE}/{{id}}/test-mail", send, methods=["POST"]),
    Route(f"{HERE}/{{id}}/test-mail/{{test}}", look),
]
