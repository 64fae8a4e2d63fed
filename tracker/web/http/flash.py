"""One sentence that outlives a redirect: signed, in a cookie, shown once."""

from dataclasses import asdict, dataclass
from math import ceil
from typing import Any

from itsdangerous import BadData, URLSafeTimedSerializer
from starlette.requests import Request
from starlette.responses import Response

from tracker.runtime.context import AppContext
from tracker.runtime.database import now

COOKIE = "inkling_flash"
SECONDS = 60


@dataclass(frozen=True)
class Flash:
    """``kind`` is ``done`` or ``problem``. With ``action`` (a path of ours) there is a button that POSTs to it, of use until
    ``until`` (seconds since 1970; 0 for always)."""

    text: str
    kind: str = "done"
    action: str = ""
    action_label: str = ""
    until: float = 0

    @property
    def seconds_left(self) -> int:
        return max(0, ceil(self.until - now().timestamp()))


def put_flash(context: AppContext, response: Response, flash: Flash) -> None:
    response.set_cookie(COOKIE, _seal(context).dumps(asdict(flash)), max_age=SECONDS, **cookie_rules(context))


def take_flash(context: AppContext, request: Request) -> Flash | None:
    """What the page before wanted to say. The caller also has to :func:`forget_flash` on its answer."""
    value = request.cookies.get(COOKIE)
    if value is None:
        return None
    try:
        return Flash(**_seal(context).loads(value, max_age=SECONDS))
    except (BadData, TypeError):
        return None


def forget_flash(context: AppContext, response: Response) -> None:
    response.delete_cookie(COOKIE, **cookie_rules(context))


def cookie_rules(context: AppContext) -> dict[str, Any]:
    """How our own cookies are set: not for scripts, not from other sites, over TLS where there is TLS."""
    secure = context.settings.base_url.startswith("https:")
    return {"httponly": True, "samesite": "lax", "secure": secure, "path": "/"}


def _seal(context: AppContext) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(list(reversed(context.keyring.keys)), salt="inkling.web.flash")
