"""Signing in and out."""

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker import users
from tracker.locale import _, localize
from tracker.runtime.localized_text import ActionError
from tracker.web.api.errors import STATUS
from tracker.web.http.forms import secret, text
from tracker.web.http.routes import Routes, has_people
from tracker.web.http.sessions import login, logout
from tracker.web.http.templating import context_of, local_path, redirect, render
from tracker.web.http.throttle import SignInTry

routes = Routes()


@routes.public_page("/sign-in")
def form(request: Request) -> Response:
    if not has_people(request):
        return redirect("/set-up")
    if request.state.user is not None:
        return redirect(local_path(request.query_params.get("next")))
    return render(
        request,
        "profile/sign_in.html",
        {"email": "", "next": local_path(request.query_params.get("next")), "problem": ""},
    )


@routes.public_action("/sign-in")
def sign_in(request: Request, form: FormData) -> Response:
    """The same answer after the same time, whether the address is unknown, switched off, or the password wrong."""
    context, email, back = context_of(request), text(form, "email"), local_path(text(form, "next"))
    again = {"email": email, "next": back}
    with context.database.reading() as session:
        user = users.find_by_email(session, email)
    try:
        is_right = SignInTry(context, request, email, user).fits(secret(form, "password"))
    except ActionError as error:
        response = render(request, "profile/sign_in.html", {**again, "problem": localize(error)}, STATUS[error.code])
        response.headers["Retry-After"] = str(error.retry_after)
        return response
    if user is None or not is_right:
        problem = _(
            "This address and password do not belong together. Check both; an administrator can set a new password."
        )
        return render(request, "profile/sign_in.html", {**again, "problem": problem}, 422)
    with context.database.session_scope() as session:
        users.take_first_zone(session, user, text(form, "zone"))
    response = redirect(back)
    login(context, request, response, user)
    return response


@routes.public_action("/sign-out")
def sign_out(request: Request, _form: FormData) -> Response:
    response = redirect("/sign-in")
    logout(context_of(request), request, response)
    return response
