"""How fast the rewriter is, beside pytracking in the same run: `python -m tests.bench.rewriter`.

Messages are made from a fixed seed in five shapes of real mail. Both programs get the same documents and make the same number
of tracked links; ours are given as plain text, then signed as in a send. pytracking writes its claims as base64 without a
signature, and in its safe mode encrypts and authenticates them, which is what our signed links stand beside. Both parse,
find, rewrite and print within the time. Processor time, of each document the best of several rounds.
"""

import importlib.util
import math
import random
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from statistics import quantiles
from types import SimpleNamespace
from typing import Any

from pixel.tokens import Tokens, click_path, new_public_id
from tests.bench.figures import add_figure
from tests.fixtures.contexts import opened_context
from tracker.mail.mime import quoted_printable
from tracker.models import Delivery
from tracker.outbound.copies import Copy, ScannedMessage, make_copy, scan_message
from tracker.outbound.mime_patch import Untouched
from tracker.outbound.rewriter.footer import Footer
from tracker.outbound.rewriter.leave_alone import Leave
from tracker.outbound.rewriter.rewriting import rewrite
from tracker.runtime.context import AppContext

HOST = "https://track.example.com"
MESSAGES = 300
ROUNDS = 9
LARGE = 100 * 1024
COPIES = 200
FEW_LINKS = 15
"""Of a copy of 10 KB, for which the aim is."""
_LEAVE = Leave(own_hosts=frozenset({"track.example.com"}))
_WORDS = [
    "offer",
    "meeting",
    "thanks",
    "attached",
    "proposal",
    "next",
    "week",
    "price",
    "list",
    "your",
    "team",
    "quarter",
]
_WORDS += ["délai", "Angebot", "größe", "договор", "счёт"]


@dataclass(frozen=True)
class Speed:
    """What one program did with all messages: messages and megabytes in a second of processor time."""

    name: str
    messages: float
    megabytes: float
    large_p99: float


def main() -> None:
    print(report())


def report() -> str:
    """Two tables in Markdown: the speeds side by side, and time against size."""
    documents = [_document(random.Random(seed)) for seed in range(MESSAGES)]
    speeds = _measured(_programs(), documents)
    return "\n".join([*_table(speeds, documents), "", *_missing(), *_growth(), "", *_copies(), ""])


def _copies() -> list[str]:
    """A copy's whole making: MIME parsed, links signed, pixel, hidden link, footer, to bytes. Each message has one recipient and is
    new to us; then one message with many recipients, read once."""
    lines = ["| whole copy | on the wire | processor | a second |", "|---|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as folder, opened_context(Path(folder), None) as context:
        for links, encoding in ((FEW_LINKS, "quoted-printable"), (FEW_LINKS, "8bit"), (127, "quoted-printable")):
            first = [_maker(context, seed, links, encoding, scan_message) for seed in range(COPIES)]
            read = lru_cache(scan_message)
            further = [_maker(context, COPIES, links, encoding, read) for _ in range(COPIES)]
            aim = 3000 if links == FEW_LINKS else None
            for name, makers in (("Whole copy", first), ("Further copy of a message", further)):
                seconds, size = min(_seconds(make, "") for make in makers), len(makers[0]("").raw) / 1024
                what = f"{name}: {links} links, {encoding}"
                add_figure(what, 1 / seconds, "copies a second of processor", at_least=aim)
                lines.append(f"| {what} | {size:.1f} KB | {seconds * 1000:.2f} ms | {1 / seconds:,.0f} |")
    return lines


def _maker(
    context: AppContext, seed: int, links: int, encoding: str, read: Callable[[bytes], ScannedMessage | Untouched]
) -> Callable[[str], Copy]:
    html = _many_links(random.Random(seed), links)
    raw = _message(html, encoding)
    links_of_html = rewrite(html, lambda url, _: url, None).links
    planned: list[Any] = [SimpleNamespace(position=link.index, url=link.url, tracked=True) for link in links_of_html]
    footer = Footer("We see whether this is opened.", "Your choice", f"{HOST}/r/{'x' * 80}")
    delivery = Delivery(message_id=1, recipient_id=1, position=0, role="to", address="", opens_on=True, clicks_on=True)
    return lambda _: make_copy(context, raw, delivery, planned, hidden_link=True, footer=lambda _: footer, read=read)


def _message(html: str, encoding: str) -> bytes:
    body = html.encode()
    text = quoted_printable.encode(body, b"\r\n") if encoding == "quoted-printable" else body
    return (
        b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: Offer\r\nMIME-Version: 1.0\r\n"
        b"Message-ID: <1@seller.example>\r\nDate: Mon, 30 Nov 2026 10:00:00 +0000\r\n"
        b"Content-Type: multipart/alternative; boundary=x\r\n\r\n--x\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
        b"Hello\r\n--x\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: "
        + encoding.encode()
        + b"\r\n\r\n"
        + text
        + b"\r\n--x--\r\n"
    )


def _many_links(chance: random.Random, links: int) -> str:
    """So many paragraphs of some 700 bytes with a link each."""
    paragraphs = (
        f'<p style="margin:0 0 1em">{_text(chance, 70)}\r\n'
        f'<a href="{_url(chance)}" style="color:#0055aa">{_text(chance, 2)}</a>.</p>'
        for _ in range(links)
    )
    return "<html><body>\r\n" + "\r\n".join(paragraphs) + "</body></html>\r\n"


def _table(speeds: list[Speed], documents: list[str]) -> list[str]:
    size = sum(len(document.encode()) for document in documents)
    links = sum(document.count("<a ") for document in documents)
    lines = [
        f"{len(documents)} messages, {size / len(documents) / 1024:.1f} KB and {links / len(documents):.0f} links on average.",
        "",
        "| program | messages/s | MB/s | p99 of a 100 KB message | times pytracking |",
        "|---|---:|---:|---:|---:|",
    ]
    base = next((speed.messages for speed in speeds if speed.name == "pytracking"), None)
    for speed in speeds:
        ratio = f"{speed.messages / base:.1f}" if base else "–"
        if speed.name.startswith("Inkling"):
            times = speed.messages / base if base else None
            add_figure(f"Rewriter: {speed.name}, beside pytracking", speed.messages, "messages a second", ratio=times)
            add_figure(f"Rewriter: {speed.name}, p99 of 100 KB", speed.large_p99, "ms", at_most=4)
        lines.append(
            f"| {speed.name} | {speed.messages:,.0f} | {speed.megabytes:.1f} | {speed.large_p99:.2f} ms | {ratio} |"
        )
    return lines


def _growth() -> list[str]:
    lines = ["| size | links | ours | per MB |", "|---:|---:|---:|---:|"]
    for kilobytes in (1, 10, 100, 1000, 5000):
        document = _newsletter(random.Random(7), kilobytes * 1024)
        seconds = min(_seconds(_ours, document) for _ in range(3))
        megabytes = len(document) / 1024 / 1024
        lines.append(
            f"| {kilobytes} KB | {document.count('<a ')} | {seconds * 1000:.2f} ms | {seconds / megabytes * 1000:.0f} ms |"
        )
    return lines


def _measured(programs: list[tuple[str, Callable[[str], object]]], documents: list[str]) -> list[Speed]:
    """The programs take turns, and of every document the best round counts: what else the machine does is left out."""
    best = {name: [math.inf] * len(documents) for name, _ in programs}
    for _ in range(ROUNDS):
        for name, program in programs:
            best[name] = [min(seconds, _seconds(program, d)) for seconds, d in zip(best[name], documents, strict=True)]
    large = [_newsletter(random.Random(seed), LARGE) for seed in range(10)]
    size = sum(len(document.encode()) for document in documents) / 1024 / 1024
    speeds: list[Speed] = []
    for name, program in programs:
        times = [_seconds(program, document) for _ in range(20) for document in large]
        seconds = sum(best[name])
        speeds.append(Speed(name, len(documents) / seconds, size / seconds, quantiles(times, n=100)[98] * 1000))
    return speeds


def _seconds(program: Callable[[str], object], document: str) -> float:
    before = time.process_time()
    program(document)
    return time.process_time() - before


def _programs() -> list[tuple[str, Callable[[str], object]]]:
    programs: list[tuple[str, Callable[[str], object]]] = [("Inkling", _ours), ("Inkling, tokens signed", _signed())]
    if importlib.util.find_spec("pytracking") and importlib.util.find_spec("lxml"):
        programs += [("pytracking", _pytracking()), ("pytracking, encrypted", _pytracking(encrypted=True))]
    return programs


def _missing() -> list[str]:
    if len(_programs()) == 4:
        return []
    return ["Left out: pytracking is not installed (`make bench` installs it).", ""]


def _ours(document: str) -> object:
    return rewrite(document, lambda url, index: f"{HOST}/c/{index}", f"{HOST}/o/pixel.gif", _LEAVE)


def _signed() -> Callable[[str], object]:
    tokens, delivery = Tokens(["x" * 40 + "0123456789"]), new_public_id()

    def link(url: str, index: int) -> str:
        return HOST + click_path(tokens.click(delivery, index, url))

    return lambda document: rewrite(document, link, f"{HOST}/o/{tokens.open(delivery)}.gif", _LEAVE)


def _pytracking(*, encrypted: bool = False) -> Callable[[str], object]:
    from cryptography.fernet import Fernet
    from pytracking import Configuration
    from pytracking.html import adapt_html

    configuration = Configuration(
        base_open_tracking_url=f"{HOST}/o/",
        base_click_tracking_url=f"{HOST}/c/",
        webhook_url="https://hook.example.com/",
        encryption_bytestring_key=Fernet.generate_key() if encrypted else None,
    )
    return lambda document: adapt_html(document, {"delivery": "abcdefghijk"}, configuration=configuration)


# --- documents


def _document(chance: random.Random) -> str:
    shape = chance.choice([_whole, _whole, _answer, _word, _button])
    return shape(chance) if chance.random() < 0.8 else _newsletter(chance, chance.randrange(8_000, 60_000))


def _text(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=words))


def _url(chance: random.Random) -> str:
    parameters = "&amp;".join(f"utm_{name}={chance.randrange(10**6)}" for name in ("source", "medium", "id"))
    return f"https://www.example.com/{chance.choice(_WORDS[:12])}/{chance.randrange(10**5)}?{parameters}"


def _signature(chance: random.Random) -> str:
    return (
        f'<div class="signature"><b>Anna Example</b><br>{_text(chance, 4)}<br>'
        f'<a href="tel:+49301234567">+49 30 1234567</a> · <a href="{_url(chance)}" target="_blank">our site</a>'
        '<br><img src="cid:logo@example.com" width="120" height="40" alt="Example Ltd"></div>'
    )


def _personal(chance: random.Random) -> str:
    paragraphs = "\r\n".join(
        f'<p style="margin:0 0 1em">{_text(chance, 40)} <a href="{_url(chance)}">{_text(chance, 2)}</a>.</p>'
        for _ in range(4)
    )
    return f"<div dir=ltr>{paragraphs}{_signature(chance)}</div>"


def _whole(chance: random.Random) -> str:
    """pytracking gives up on a document without a body, so every document has one."""
    return f"<html><body>{_personal(chance)}</body></html>"


def _answer(chance: random.Random) -> str:
    older = _personal(chance)
    for _ in range(chance.randrange(1, 6)):
        older = f'<div class="gmail_attr">wrote:</div><blockquote class="gmail_quote">{older}{_personal(chance)}</blockquote>'
    return f'<html><body>{_personal(chance)}<div class="gmail_quote">{older}</div></body></html>'


def _word(chance: random.Random) -> str:
    style = "\r\n".join(f"p.Mso{index}, li.Mso{index} {{margin:0cm; font-size:11.0pt;}}" for index in range(60))
    paragraphs = "\r\n".join(
        "<p class=MsoNormal><span lang=EN-US style='font-size:11.0pt;font-family:\"Calibri\",sans-serif'>"
        f"{_text(chance, 30)}<o:p></o:p></span></p>"
        for _ in range(12)
    )
    return (
        '<html xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"><head>'
        f"<style><!--\r\n{style}\r\n--></style><!--[if gte mso 9]><xml><o:shapedefaults v:ext='edit'/></xml><![endif]--></head>"
        f"<body lang=EN-US link=blue><div class=WordSection1>{paragraphs}{_signature(chance)}</div></body></html>"
    )


def _button(chance: random.Random) -> str:
    url = _url(chance)
    return (
        f'<html><body><p>{_text(chance, 50)}</p><!--[if mso]><v:rect href="{url}" ><center>{_text(chance, 2)}'
        f'</center></v:rect><![endif]--><![if !mso]><a href="{url}">{_text(chance, 2)}</a><![endif]>'
        f"{_signature(chance)}</body></html>"
    )


def _newsletter(chance: random.Random, size: int) -> str:
    head = (
        '<!DOCTYPE html><html><head><meta charset="utf-8"><style>td{font-family:Arial}</style></head><body>'
        f'<div style="display:none">{_text(chance, 8)}</div>'
    )
    rows: list[str] = []
    length = len(head)
    while length < size:
        rows.append(
            '<table role="presentation" cellpadding="0" width="600">\r\n'
            f'<tr><td style="padding:12px 24px;font-family:Arial,sans-serif;font-size:15px;line-height:22px;color:#333333">'
            f'<h2 style="margin:0">{_text(chance, 5)}</h2><p>{_text(chance, 45)}</p></td></tr>\r\n<tr><td align="center">'
            f'<a href="{_url(chance)}" style="display:inline-block;padding:12px 24px;background:#0055aa;color:#ffffff">'
            f"<span>{_text(chance, 2)}</span></a></td></tr></table>\r\n"
        )
        length += len(rows[-1])
    return head + "".join(rows) + "</body></html>"


if __name__ == "__main__":
    main()
