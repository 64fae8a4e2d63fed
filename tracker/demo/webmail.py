"""The other side of the demo: a small mail reader in which the visitor plays the recipients.

It lives on an address of its own, as a recipient's mail program does, and shows pictures at once, without a referrer.
"""

from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Mount, Route

from tracker.demo.sandbox_imap import StoredLetter
from tracker.demo.visitors import VISITORS, html_of, visit
from tracker.demo.website import website_routes
from tracker.demo.world import SandboxMailbox, World
from tracker.locale import best_language, use_locale
from tracker.runtime.context import AppContext
from tracker.web.http.static_files import Static
from tracker.web.http.templating import environment

_HEADERS = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
_PAGE_POLICY = "default-src 'none'; style-src 'self'; img-src 'self'; frame-src 'self'; form-action 'self'"
_LETTER_POLICY = (
    "default-src 'none'; img-src *; style-src 'unsafe-inline'; sandbox allow-popups allow-popups-to-escape-sandbox"
)
_LETTER_HEAD = '<base target="_blank"><style>body{font:15px/1.5 system-ui,sans-serif;margin:16px}</style>'


class Webmail:
    """Pages over the sandbox's mailboxes."""

    def __init__(self, world: World, context: AppContext) -> None:
        self.world = world
        self.context = context

    def home(self, request: Request) -> Response:
        """Every mailbox with its letters."""
        boxes = [(box, self._letters(box)) for box in self.world.mailboxes]
        return self._page(request, "demo/sandbox.html", boxes=boxes)

    def letter(self, request: Request) -> Response:
        """One letter, and who may come upon it."""
        box, stored = self._find(request)
        message = message_from_bytes(stored.raw, policy=policy.default)
        html = html_of(stored.raw)
        return self._page(
            request,
            "demo/sandbox_letter.html",
            box=box,
            letter=_shown(stored),
            uid=stored.uid,
            text=None if html else _text(message),
            carries=self.context.settings.tracking_url.encode() in stored.raw or self._carries(html),
            visitors=VISITORS,
        )

    def _carries(self, html: str | None) -> bool:
        return self.context.settings.tracking_url in (html or "")

    def source(self, request: Request) -> Response:
        """The letter exactly as it arrived."""
        return PlainTextResponse(self._find(request)[1].raw, headers=_HEADERS)

    def html(self, request: Request) -> Response:
        """The letter's HTML for its frame: links open a new tab, pictures load."""
        _, stored = self._find(request)
        return HTMLResponse(
            _LETTER_HEAD + (html_of(stored.raw) or ""),
            headers=_HEADERS | {"Content-Security-Policy": _LETTER_POLICY},
        )

    def visit(self, request: Request) -> Response:
        """Lets one of the machines come upon the letter."""
        _, stored = self._find(request)
        visitor = VISITORS.get(request.path_params["visitor"])
        if visitor is None:
            raise HTTPException(404)
        visit(visitor, stored.raw)
        return self._back(request)

    def reply(self, request: Request, text: str) -> Response:
        """Answers the letter; the seller finds it in the sandbox's own mailbox."""
        box, stored = self._find(request)
        self.world.reply(box.address, stored.uid, text or "Thank you!")
        return self._back(request)

    def _back(self, request: Request) -> Response:
        return RedirectResponse(f"/{request.path_params['address']}/{request.path_params['uid']}", 303)

    def _find(self, request: Request) -> tuple[SandboxMailbox, StoredLetter]:
        try:
            box = self.world.mailbox(request.path_params["address"])
        except KeyError:
            raise HTTPException(404) from None
        uid = request.path_params["uid"]
        wanted = next((letter for letter in box.letters() if letter.uid == uid), None)
        if wanted is None:
            raise HTTPException(404)
        return box, wanted

    def _letters(self, box: SandboxMailbox) -> list[dict[str, Any]]:
        return [_shown(letter) for letter in reversed(box.letters())]

    def _page(self, request: Request, template: str, **context: Any) -> Response:
        with use_locale(best_language(request.headers.get("accept-language", ""))):
            text = (
                environment()
                .get_template(template)
                .render(product=self.context.settings.base_url, scale=self.context.settings.window_scale, **context)
            )
        return HTMLResponse(text, headers=_HEADERS | {"Content-Security-Policy": _PAGE_POLICY})


def _shown(letter: StoredLetter) -> dict[str, Any]:
    message = message_from_bytes(letter.raw, policy=policy.default)
    return {
        "uid": letter.uid,
        "sender": str(message["from"]),
        "to": str(message["to"]),
        "subject": str(message["subject"] or ""),
        "at": letter.received_at,
    }


def _text(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    return str(part.get_content()) if part is not None else ""


def create_webmail(world: World, context: AppContext) -> Starlette:
    """The mail reader as an application of its own."""
    pages = Webmail(world, context)

    async def reply(request: Request) -> Response:
        form = await request.form(max_files=0, max_fields=5)
        return pages.reply(request, str(form.get("text", ""))[:5000])

    return Starlette(
        routes=[
            Route("/", pages.home),
            Mount("/static", Static()),
            *website_routes(world, context),
            Route("/{address}/{uid:int}", pages.letter),
            Route("/{address}/{uid:int}/html", pages.html),
            Route("/{address}/{uid:int}/source", pages.source),
            Route("/{address}/{uid:int}/visits/{visitor}", pages.visit, methods=["POST"]),
            Route("/{address}/{uid:int}/replies", reply, methods=["POST"]),
        ]
    )
