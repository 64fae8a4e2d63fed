"""Making pages: templates with everything the frame around them needs, and redirects with a sentence."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from jinja2 import Environment
from starlette.datastructures import URL
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from tracker import locale
from tracker.locale.templates import create_environment
from tracker.models import User
from tracker.notifications import notify
from tracker.runtime.context import AppContext
from tracker.web.http import formats
from tracker.web.http.flash import Flash, forget_flash, take_flash
from tracker.web.http.static_files import static_url


def context_of(request: Request) -> AppContext:
    """The context this request came to."""
    context: AppContext = request.app.state.context
    return context


def render(request: Request, template: str, context: Mapping[str, Any] | None = None, status: int = 200) -> Response:
    """A page or partial. Beside ``context`` the template knows ``user``, ``request``, ``frame`` and :func:`environment`."""
    frame = _frame(request)
    text = (
        environment()
        .get_template(template)
        .render({"request": request, "user": frame.user, "frame": frame, **(context or {})})
    )
    response = HTMLResponse(text, status)
    if frame.took_flash:
        forget_flash(context_of(request), response)
    return response


def redirect(
    path: str,
    message: str | None = None,
    *,
    kind: str = "done",
    action: str = "",
    action_label: str = "",
    until: float = 0,
) -> Response:
    """To another page of ours (303), which shows ``message`` once. ``kind`` is ``done`` or ``problem``.

    With ``action`` the sentence has a button that POSTs to that path (such as Undo), and counts down to ``until``.
    """
    response = RedirectResponse(path, 303)
    if message:
        # The door that lets this answer out signs it into a cookie.
        response.flash = Flash(message, kind, action, action_label, until)  # type: ignore[attr-defined]
    return response


def local_path(value: str | None, default: str = "/") -> str:
    """``value`` when it is a path on this host, else ``default``: never the way to somebody else's site."""
    if not value or not value.startswith("/") or value.startswith("//") or "\\" in value or any(c < " " for c in value):
        return default
    url = URL(value)
    return value if not url.netloc and not url.scheme else default


class _Frame:
    """What the frame around a page shows; each looked up only when the template asks."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self.user: User | None = getattr(request.state, "user", None)
        self.path = request.url.path
        self.took_flash = False
        self._bell: tuple[int, int] | None = None

    @property
    def unread(self) -> int:
        return self._counts()[0]

    @property
    def feed_after(self) -> int:
        """The newest hint this page already shows."""
        return self._counts()[1]

    @property
    def sandbox_url(self) -> str | None:
        """Where the recipients of a demo read their mail."""
        return context_of(self._request).sandbox_url

    def flash(self) -> Flash | None:
        self.took_flash = "inkling_flash" in self._request.cookies
        return take_flash(context_of(self._request), self._request)

    def is_in(self, prefix: str) -> bool:
        return self.path == prefix or self.path.startswith(f"{prefix}/")

    def _counts(self) -> tuple[int, int]:
        if self.user is None:
            return 0, 0
        if self._bell is None:
            with context_of(self._request).database.reading() as session:
                self._bell = notify.bell_of(session, self.user)
        return self._bell


def _frame(request: Request) -> _Frame:
    if not hasattr(request.state, "frame"):
        request.state.frame = _Frame(request)
    frame: _Frame = request.state.frame
    return frame


def environment() -> Environment:
    """The templates of pages: beside what every template knows, ``language()``, ``static_url()`` and the filters below."""
    return _environment_in(locale.language())


@cache
def _environment_in(language: str) -> Environment:
    pages = create_environment(language)
    pages.globals.update(static_url=static_url, language=locale.language, languages=locale.LANGUAGES)
    for name in (
        *("ago", "when", "full", "relative", "count", "compact", "size", "span", "seconds"),
        *("day", "weekday", "day_and_month", "short_day", "day_in_words"),
    ):
        pages.filters[name] = getattr(formats, name)
    pages.filters["localize"] = locale.localize
    return pages
