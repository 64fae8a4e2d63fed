"""The doors: who may come in, in which language they are spoken to, and how forms are taken.

    routes = Routes()

    @routes.page("/mail")             def mail(request, user) -> Response         GET, signed-in people; others are sent to sign in
    @routes.action("/mail/{id}")      def send(request, user, form) -> Response   POST, the form read before
    @routes.admin_page  .admin_action                                             the same for admins; 403 for others
    @routes.public_page("/sign-in")   def form(request) -> Response               GET, anybody
    @routes.public_action("/sign-in") def sign_in(request, form) -> Response      POST, anybody

The decorated functions are synchronous and run in the thread pool. A form may have a megabyte; ``max_bytes=…`` says more.
"""

from collections.abc import Callable, Iterable
from functools import wraps
from typing import TypeVar
from urllib.parse import quote

from sqlmodel import select
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tracker.locale import best_language, use_locale
from tracker.models import Role, User
from tracker.runtime.context import AppContext
from tracker.web.http.actions import EarlyResponse
from tracker.web.http.body_limit import limited
from tracker.web.http.flash import put_flash
from tracker.web.http.sessions import current_user, renew_session
from tracker.web.http.templating import context_of

MEGABYTE = 1024 * 1024
View = TypeVar("View", bound=Callable[..., Response])
PublicPage = Callable[[Request], Response]
Page = Callable[[Request, User], Response]
PublicAction = Callable[[Request, FormData], Response]
Action = Callable[[Request, User, FormData], Response]


class Routes(list[BaseRoute]):
    """The addresses of one subject, in the order in which they are tried."""

    def page(self, path: str) -> Callable[[Page], Page]:
        return self._page(path, lambda view, request: view(request, signed_in(request)))

    def admin_page(self, path: str) -> Callable[[Page], Page]:
        return self._page(path, lambda view, request: view(request, signed_in_admin(request)))

    def public_page(self, path: str) -> Callable[[PublicPage], PublicPage]:
        return self._page(path, lambda view, request: view(request))

    def action(self, path: str, *, max_bytes: int = MEGABYTE) -> Callable[[Action], Action]:
        return self._action(path, lambda view, request, form: view(request, signed_in(request), form), max_bytes)

    def admin_action(self, path: str) -> Callable[[Action], Action]:
        return self._action(path, lambda view, request, form: view(request, signed_in_admin(request), form))

    def public_action(self, path: str) -> Callable[[PublicAction], PublicAction]:
        return self._action(path, lambda view, request, form: view(request, form))

    def _page(self, path: str, call: Callable[[View, Request], Response]) -> Callable[[View], View]:
        def add(view: View) -> View:
            @wraps(view)
            async def answer(request: Request) -> Response:
                return await run_in_threadpool(_handle, request, lambda: call(view, request))

            self.append(Route(path, answer))
            return view

        return add

    def _action(
        self, path: str, call: Callable[[View, Request, FormData], Response], max_bytes: int = MEGABYTE
    ) -> Callable[[View], View]:
        def add(view: View) -> View:
            @wraps(view)
            async def answer(request: Request) -> Response:
                try:
                    # a field may be as long as the whole form
                    async with limited(request, max_bytes).form(max_part_size=max_bytes) as form:
                        _refuse_nul((str(value) for _, value in form.multi_items()), 422)
                        return await run_in_threadpool(_handle, request, lambda: call(view, request, form))
                except ClientDisconnect:
                    raise HTTPException(400) from None

            self.append(Route(path, answer, methods=["POST"]))
            return view

        return add


def signed_in(request: Request) -> User:
    """The person of this request; everybody else is sent to sign in (or to set up, while there is nobody)."""
    user: User | None = request.state.user
    if user is not None:
        return user
    if not has_people(request):
        raise EarlyResponse(RedirectResponse("/set-up", 303))
    if request.headers.get("sec-fetch-dest") == "empty":  # a script's call: it cannot show the sign-in page
        raise HTTPException(401)
    back = request.url.path + (f"?{request.url.query}" if request.url.query else "") if request.method == "GET" else "/"
    raise EarlyResponse(RedirectResponse("/sign-in" if back == "/" else f"/sign-in?next={quote(back)}", 303))


def signed_in_admin(request: Request) -> User:
    user = signed_in(request)
    if user.role != Role.ADMIN:
        raise HTTPException(403)
    return user


def has_people(request: Request) -> bool:
    """Whether anybody is there at all. Once true it stays true: people are switched off, never deleted."""
    state = request.app.state
    if not getattr(state, "has_people", False):
        with context_of(request).database.reading() as session:
            state.has_people = session.exec(select(User.id).limit(1)).first() is not None
    return bool(state.has_people)


def locale_of(request: Request) -> tuple[str, str]:
    """Language and zone to speak in: the person's, else what the browser asks for."""
    user: User | None = getattr(request.state, "user", None)
    if user is not None:
        return user.locale, user.timezone
    return best_language(request.headers.get("accept-language", "")), "UTC"


def _handle(request: Request, enter: Callable[[], Response]) -> Response:
    """The way every request goes: who is it, which language, the page, and what the browser must remember."""
    context = context_of(request)
    _refuse_nul(map(str, request.path_params.values()), 404)
    _refuse_nul(request.query_params.values(), 400)
    request.state.user = current_user(context, request)
    with use_locale(*locale_of(request)):
        try:
            response = enter()
        except EarlyResponse as early:
            response = early.response
    _finish_response(context, request, response)
    return response


def _refuse_nul(values: Iterable[str], status: int) -> None:
    """No browser sends a NUL by itself, and PostgreSQL takes none."""
    if any("\0" in value for value in values):
        raise HTTPException(status)


def _finish_response(context: AppContext, request: Request, response: Response) -> None:
    flash = getattr(response, "flash", None)
    if flash is not None:
        put_flash(context, response, flash)
    if getattr(request.state, "renew", False):
        renew_session(context, request, response)
