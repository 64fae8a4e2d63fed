"""The words of a letter: text out of HTML, what its writer wrote above what is quoted, and the line that lists show. Pure."""

import re
from collections.abc import Iterable, Iterator

from turbohtml import PlainText, parse

_PLAIN = PlainText(width=0, links="none", images=False)
_MOST_HTML = 2_000_000
_SNIPPET = 300
_MARKERS = re.compile(
    r"^\s*(?:"
    r"-{2,}\s*(?:original message|исходное сообщение|ursprüngliche nachricht|message d'origine|mensaje original"
    r"|forwarded message|пересылаемое сообщение|пересылаемое письмо|пересланное сообщение)\s*-{2,}"
    r"|_{10,}"
    r"|.{4,120}(?:пишет|написал(?:а|\(а\))?)\s*:"
    r"|(?:from|от|von|de)\s*:.{0,120}[^\s<>@]{1,64}@[^\s<>]{1,255}>?"
    r"|.{0,120}<[^<>@\s]{1,64}@[^<>\s]{1,255}>\s*:"
    r"|begin forwarded message:|начало переадресованного сообщения:"
    r"|on .{5,200}wrote:|am .{5,200}schrieb.{0,100}:|le .{5,200}a écrit\s*:|el .{5,200}escribió:|il .{5,200}ha scritto:"
    r"|(?:\d{1,2}[./]\d{1,2}[./]\d{2,4}|(?:пн|вт|ср|чт|пт|сб|вс|понедельник|вторник|среда|четверг|пятница|суббота|воскресенье),?)"
    r".{0,200}(?:пишет|написал(?:а|\(а\))?|писал(?:а)?|wrote):"
    r")\s*$",
    re.IGNORECASE,
)
_MAY_MARK = re.compile(r"[:@]|[-_]\s*$")
"""One of these is in every line that begins an older message, or in the next one; most lines need no closer look."""
_HEADS = re.compile(r"^\s*\*?(?:from|от|von|de|from:|отправитель)\s*:\*?\s.*", re.IGNORECASE)
_NEXT_HEADS = re.compile(
    r"^\s*\*?(?:sent|date|to|subject|отправлено|дата|кому|тема|gesendet|an|betreff|envoyé|à|objet)\s*:", re.IGNORECASE
)
_WRAPPED = re.compile(r"\s*(?:on|am|le|el|\d{1,2}[./]|пн|вт|ср|чт|пт|сб|вс)", re.IGNORECASE)
_ATTRIBUTION = re.compile(r"[:：]\s*$")
_INVISIBLE = re.compile("[\u00ad\u034f\u200b-\u200f\u2028-\u202e\u2060-\u2064\ufeff]")


def text_from_html(html: str) -> str:
    """The text of a document as lines; empty when it cannot be had. Never raises."""
    try:
        return parse(html[:_MOST_HTML]).to_text(_PLAIN).replace("\0", "").strip()
    except Exception:  # a document that the parser refuses has no text for us
        return ""


def own_text(text: str) -> str:
    """What the writer of a letter wrote: without quoted lines and without the older message below."""
    return "\n".join(_own_lines(text)).strip()


def _own_lines(text: str) -> Iterator[str]:
    lines = text.splitlines()
    waiting: str | None = None
    for number, line in enumerate(lines):
        if _begins_older(lines, number):
            break
        if not line.lstrip().startswith(">"):
            if waiting is not None:
                yield waiting
            waiting = line
        elif waiting is not None and _ATTRIBUTION.search(waiting) and len(waiting) < 300:
            waiting = None  # "Anna wrote:"
    if waiting is not None:
        yield waiting


def _begins_older(lines: list[str], number: int) -> bool:
    line = lines[number]
    if len(line) > 400 or not any(_MAY_MARK.search(one) for one in lines[number : number + 2]):
        return False
    joined = f"{line} {lines[number + 1]}" if number + 1 < len(lines) and len(lines[number + 1]) < 200 else line
    if _MARKERS.match(line) or (_wrapped(line) and _MARKERS.match(joined)):
        return True
    return bool(_HEADS.match(line)) and any(_NEXT_HEADS.match(after) for after in lines[number + 1 : number + 4])


def _wrapped(line: str) -> bool:
    """A line that may go on below: programs wrap "On Monday, Anna Berg <…> wrote:" """
    return bool(_WRAPPED.match(line))


def snippet(text: str) -> str:
    """The beginning of what was written, on one line."""
    text = text[:20_000]
    return _beginning(_own_lines(text)) or _beginning(text.splitlines())


def _beginning(lines: Iterable[str]) -> str:
    words: list[str] = []
    length = 0
    for line in lines:
        some = _INVISIBLE.sub("", line).split()
        words += some
        length += sum(map(len, some)) + len(some)
        if length > _SNIPPET:
            break
    return " ".join(words)[:_SNIPPET]
