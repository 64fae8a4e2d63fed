"""What is found out about an account: what receivers see of its domain, and how its mail arrives, by a test to oneself."""

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _
from tracker.mail.addresses import domain_of
from tracker.models import Account, User
from tracker.outbound.self_test import TEST_ID, has_arrived, read_test, send_test
from tracker.outbound.sending_domain.records import advice_for
from tracker.web.accounts.pages import BASE_PATH
from tracker.web.http.actions import answering, named_row, problem_at
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import domain_look_ups, test_mail_look_ups, test_mails

routes = Routes()


@routes.page(f"{BASE_PATH}/{{id}}/domain")
def domain(request: Request, user: User) -> Response:
    account = named_row(request, user, Account)
    with answering(problem_at(f"{BASE_PATH}/{account.public_id}")):
        domain_look_ups.take(user)
    context = {
        "account": account,
        "domain": domain_of(account.address),
        "advice": advice_for(context_of(request), account),
        "grades": grades(),
    }
    part = "part" in request.query_params
    return render(request, "accounts/_settings_domain.html" if part else "accounts/settings_domain.html", context)


def grades() -> dict[str, tuple[str, str]]:
    """The grades of advice: the word for people, and the tone of its badge."""
    return {
        "good": (_("fine"), "good"),
        "warn": (_("could be better"), "warn"),
        "bad": (_("wrong"), "bad"),
        "unknown": (_("not known"), ""),
    }


@routes.action(f"{BASE_PATH}/{{id}}/test-mail")
def send(request: Request, user: User, _form: FormData) -> Response:
    account = named_row(request, user, Account)
    back = f"{BASE_PATH}/{account.public_id}"
    with answering(problem_at(back)):
        test_mails.take(user)
        test_id = send_test(context_of(request), account)
    return redirect(f"{back}/test-mail/{test_id}")


@routes.page(f"{BASE_PATH}/{{id}}/test-mail/{{test}}")
def look(request: Request, user: User) -> Response:
    """The page at once; what the mailbox says only when it is asked for, by the page's script or by the link."""
    test_id = request.path_params["test"]
    if not TEST_ID.fullmatch(test_id):
        raise HTTPException(404)
    account, advice = named_row(request, user, Account), None
    if {"part", "look"} & set(request.query_params):
        with answering(problem_at(f"{BASE_PATH}/{account.public_id}")):
            test_mail_look_ups.take(user)
        advice = read_test(context_of(request), account, test_id)
    context = {
        "account": account,
        "here": request.url.path,
        "advice": advice,
        "grades": grades(),
        "waits": advice is None or not has_arrived(advice),
    }
    part = "part" in request.query_params
    return render(request, "accounts/_settings_test_mail.html" if part else "accounts/settings_test_mail.html", context)
