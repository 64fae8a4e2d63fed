"""Asking recipients for consent: the text they will get, and one mail for each of them."""

from collections.abc import Sequence
from typing import Any

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.notice import name_company, notice
from tracker.consent.preferences import preference
from tracker.locale import LANGUAGES, _, language, localize, ngettext
from tracker.mail.addresses import AddressError, parse_list
from tracker.models import Role, User
from tracker.outbound.accounts import accounts_of
from tracker.outbound.consent_request import RequestOutcome, ask
from tracker.outbound.draft import SendError
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
AT_ONCE = 20


@routes.page("/asking")
def consent_request(request: Request, user: User) -> Response:
    """``to``: the addresses to ask; nothing is sent before the form is."""
    with context_of(request).database.reading() as session:
        return _form(request, session, user, request.query_params.get("to", "")[:4000], "")


@routes.action("/asking")
def send(request: Request, user: User, form: FormData) -> Response:
    typed, chosen = text(form, "to", 4000), text(form, "language")
    context = context_of(request)
    asked: Sequence[RequestOutcome] = ()
    try:
        people = parse_list(typed)
        problem = "" if 0 < len(people) <= AT_ONCE else _("Give one to %(most)s addresses.", most=AT_ONCE)
        if not problem:
            with context.database.session_scope() as session:
                if (company := text(form, "company", 300)) and user.role == Role.ADMIN:
                    name_company(session, company, user.id)
                own = session.get_one(User, user.id)
                asked = ask(session, context, own, people, chosen if chosen in LANGUAGES else language())
    except (AddressError, SendError) as error:
        problem = localize(error)
    if problem:
        with context.database.reading() as session:
            return _form(request, session, user, typed, problem, 422)
    return _told(asked)


def _told(asked: Sequence[RequestOutcome]) -> Response:
    sent = [answer for answer in asked if answer.message is not None]
    refused = [f"{answer.address} {_word(answer.problem)}" for answer in asked if answer.message is None]
    words = ngettext("One question is on its way.", "%(num)s questions are on their way.", len(sent))
    sentence = " ".join([words] * bool(sent) + [_("Not asked: %(who)s.", who="; ".join(refused))] * bool(refused))
    return redirect("/recipients", sentence, kind="done" if sent else "problem")


def _word(problem: str) -> str:
    return localize(problem).rstrip(".")


def _form(request: Request, session: Session, user: User, to: str, problem: str, status: int = 200) -> Response:
    chosen = request.query_params.get("language", "")
    chosen = chosen if chosen in LANGUAGES else language()
    context: dict[str, Any] = {
        "to": to,
        "problem": problem,
        "chosen": chosen,
        "notice": notice(session, context_of(request), chosen),
        "accounts": accounts_of(session, user),
        "named": bool((preference(session, "controller") or {}).get("name")),
    }
    return render(request, "recipients/consent_request.html", context, status)
