"""What the edge says: the same bytes whatever it was asked with."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping
from typing import Any

Headers = list[tuple[bytes, bytes]]

# A transparent image of one pixel: the smallest GIF89a that every reader takes.
PIXEL = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff"
    b"!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
_NEVER_CACHED: Headers = [
    (b"cache-control", b"no-cache, no-store, must-revalidate, private, max-age=0"),
    (b"pragma", b"no-cache"),
    (b"expires", b"0"),
]
_PRIVATE: Headers = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-robots-tag", b"noindex, nofollow"),
]


WHOLE = "inkling.whole_answer"
"""In the scope of a request, where the server offers it: writes a whole answer, and whether it could."""
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


def header_lines(headers: Headers) -> bytes:
    """As they go over the wire. Their values are ours or came through a parser: none has a line end."""
    return b"".join([b"%s: %s\r\n" % pair for pair in headers])


class Answer:
    """A whole response, made once and sent as often as needed: an ASGI application that always says the same.

    ``lines`` are the headers as they go over the wire, where they were joined before.
    """

    def __init__(self, status: int, headers: Headers, body: bytes, lines: bytes | None = None) -> None:
        self.status, self.headers, self.body = status, headers, body
        self.lines = b"%scontent-length: %d\r\n" % (header_lines(headers) if lines is None else lines, len(body))
        """All headers as they go over the wire."""

    async def __call__(self, scope: Scope, _receive: Receive, send: Send) -> None:
        is_head = scope["method"] == "HEAD"
        send_whole = scope.pop(WHOLE, None)  # which refers to the scope
        if send_whole is not None and not is_head and send_whole(self):
            return
        headers = [*self.headers, (b"content-length", str(len(self.body)).encode("ascii"))]
        await send({"type": "http.response.start", "status": self.status, "headers": headers})
        await send({"type": "http.response.body", "body": b"" if is_head else self.body})


Reply = Callable[[Answer], None]
AnswerBody = Callable[[Scope, bytes, Reply], None]
"""Answers a request with its whole body: calls what it is handed, once, and not before it returns."""
PIXEL_ANSWER = Answer(
    200,
    [(b"content-type", b"image/gif"), *_NEVER_CACHED, *_PRIVATE, (b"cross-origin-resource-policy", b"cross-origin")],
    PIXEL,
)
ROBOTS = Answer(200, [(b"content-type", b"text/plain; charset=utf-8"), *_PRIVATE], b"User-agent: *\nDisallow: /\n")


_REDIRECT_LINES = header_lines([*_NEVER_CACHED, *_PRIVATE])


def method_not_allowed(allowed: bytes) -> Answer:
    """405, with the methods that would do."""
    headers = [(b"allow", allowed), (b"content-type", b"text/plain; charset=utf-8"), *_NEVER_CACHED, *_PRIVATE]
    return Answer(405, headers, b"Method not allowed\n")


def redirect(location: bytes) -> Answer:
    """302: found here this time, and nobody may remember it."""
    headers = [(b"location", location), *_NEVER_CACHED, *_PRIVATE]
    return Answer(302, headers, b"", b"location: %s\r\n%s" % (location, _REDIRECT_LINES))


def plain(status: int, sentence: str, extra: Headers | None = None) -> Answer:
    """One sentence for the person who runs the other end."""
    headers = [(b"content-type", b"text/plain; charset=utf-8"), *_NEVER_CACHED, *_PRIVATE, *(extra or [])]
    return Answer(status, headers, f"{sentence}\n".encode())


def drained(lines: bytes, spools: Iterable[int], last: int) -> Answer:
    """Hits as newline-delimited JSON; which spools there are, and the highest id that the one that was asked for has given."""
    headers = [
        (b"content-type", b"application/x-ndjson"),
        (b"inkling-spools", ",".join(map(str, spools)).encode()),
        (b"inkling-last-id", str(last).encode()),
    ]
    return Answer(200, [*headers, *_NEVER_CACHED, *_PRIVATE], lines)


def prometheus(samples: Iterable[str]) -> Answer:
    """Prometheus text format 0.0.4."""
    headers = [(b"content-type", b"text/plain; version=0.0.4"), *_NEVER_CACHED, *_PRIVATE]
    return Answer(200, headers, "".join(f"{sample}\n" for sample in samples).encode("ascii"))


def state(status: int, facts: Mapping[str, Any]) -> Answer:
    """A small JSON object."""
    body = json.dumps(facts).encode("ascii") + b"\n"
    return Answer(status, [(b"content-type", b"application/json"), *_NEVER_CACHED, *_PRIVATE], body)


_NOT_FOUND = {
    "en": (
        "This link does not work",
        "The address is incomplete or was changed on its way. Please open the link from the message once more, "
        "or ask the sender for it.",
    ),
    "ru": (
        "Эта ссылка не работает",
        "Адрес неполон или изменился по дороге. Откройте ссылку из письма ещё раз или попросите её у отправителя.",
    ),
}
_NO_PERSON = {
    "en": (
        "There is nothing here",
        "No person can see the link that leads here; it lets the sender tell automatic checks of a message from its reader. "
        "You can close this page.",
    ),
    "ru": (
        "Здесь ничего нет",
        "Ссылка на эту страницу не видна людям: по ней отправитель отличает автоматическую проверку письма от читателя. "
        "Страницу можно закрыть.",
    ),
}
_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 15vh auto; padding: 0 1.5rem }}
</style>
</head>
<body><main><h1>{title}</h1><p>{text}</p></main></body>
</html>
"""


def _page(status: int, language: str, title: str, text: str) -> Answer:
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-language", language.encode("ascii")),
        (b"vary", b"Accept-Language"),
        (b"content-security-policy", b"default-src 'none'; style-src 'unsafe-inline'"),
        *_NEVER_CACHED,
        *_PRIVATE,
    ]
    return Answer(status, headers, _PAGE.format(language=language, title=title, text=text).encode())


NOT_FOUND = {language: _page(404, language, *words) for language, words in _NOT_FOUND.items()}
NO_PERSON = {language: _page(200, language, *words) for language, words in _NO_PERSON.items()}


def not_found(accept_language: bytes) -> Answer:
    """The page for an address that leads nowhere, in the reader's language; repeats nothing of the request."""
    return _in_language(NOT_FOUND, accept_language)


def no_person(accept_language: bytes) -> Answer:
    """The page behind the hidden link: plain, and the same for everybody who comes upon it."""
    return _in_language(NO_PERSON, accept_language)


def _in_language(pages: Mapping[str, Answer], accept_language: bytes) -> Answer:
    return pages[preferred_language(accept_language.decode("ascii", "replace"), tuple(pages))]


def preferred_language(accept_language: str, offered: tuple[str, ...]) -> str:
    """The offered language the reader wants most (RFC 9110, 12.5.4); the first one when none fits."""
    best, best_weight = offered[0], 0.0
    for item in accept_language[:512].split(","):
        tag, _, parameter = item.strip().partition(";")
        language = tag.strip().partition("-")[0].lower()
        weight = _weight(parameter)
        if language in offered and weight > best_weight:
            best, best_weight = language, weight
    return best


def _weight(parameter: str) -> float:
    name, _, value = parameter.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        weight = float(value)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0
