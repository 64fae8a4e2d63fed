"""What receivers see of a sending domain: SPF, DKIM and DMARC, looked up when somebody asks."""

from starlette.requests import Request
from starlette.responses import Response

from tracker.locale import _, localize
from tracker.mail.addresses import domain_of
from tracker.models import User
from tracker.outbound.sending_domain.records import advice_for
from tracker.runtime.localized_text import ActionError
from tracker.web.accounts.pages import BASE_PATH, own_account
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import domain_look_ups

routes = Routes()


@routes.page(f"{BASE_PATH}/{{id}}/domain")
def domain(request: Request, user: User) -> Response:
    account = own_account(request, user)
    try:
        domain_look_ups.take(user)
    except ActionError as error:
        return redirect(f"{BASE_PATH}/{account.public_id}", localize(error), kind="problem")
    context = {
        "account": account,
        "domain": domain_of(account.address),
        "advice": advice_for(context_of(request), account),
        "grades": grades(),
    }
    part = "part" in request.query_params
    return render(request, "_settings_domain.html" if part else "settings_domain.html", context)


def grades() -> dict[str, tuple[str, str]]:
    """The grades of advice: the word for people, and the tone of its badge."""
    return {
        "good": (_("fine"), "good"),
        "warn": (_("could be better"), "warn"),
        "bad": (_("wrong"), "bad"),
        "unknown": (_("not known"), ""),
    }
