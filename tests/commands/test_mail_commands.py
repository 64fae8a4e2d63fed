"""`rewrite`, `inspect` and `judge`: what sending would do, what a URL of ours says, who made a hit."""

import json
import re
import subprocess
from email import message_from_bytes, policy
from pathlib import Path

import pytest

from pixel.settings import load_or_make_keys
from pixel.tokens import Tokens, new_public_id
from tests.commands.inkling import Inkling

HTML = b'<html><body><p>H\xc3\xa9llo <a href="https://shop.example/a?b=1&amp;c=2">offer</a></p></body></html>'
MESSAGE = (
    b"From: alice@seller.example\r\nTo: anna@client.example\r\nSubject: =?utf-8?q?H=C3=A9?=\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nSee https://shop.example/a\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + HTML
    + b"\r\n--b--\r\n"
)
TEXT_ONLY = b"From: a@b.example\r\nSubject: x\r\n\r\nHello\xff\x00 https://shop.example/\r\n"


def urls(html: str) -> list[str]:
    return re.findall(r'(?:href|src)="(http://127\.0\.0\.1:8000/[^"]+)"', html)


def test_a_message_as_it_would_leave(inkling: Inkling) -> None:
    done = inkling("rewrite", "--opens", "--links", stdin=MESSAGE)
    assert (done.code, done.err) == (0, "")
    before, after = (message_from_bytes(raw, policy=policy.default) for raw in (MESSAGE, done.out))
    assert before.items() == after.items()
    plain, html = after.iter_parts()
    assert plain.get_content() == "See https://shop.example/a"
    link, pixel = urls(html.get_content())
    assert ("/c/" in link, "/o/" in pixel) == (True, True)
    said = json.loads(inkling("inspect", link).text)
    assert said.pop("delivery") == json.loads(inkling.in_process("inspect", pixel).text)["delivery"]
    assert said == {"kind": "click", "valid": True, "link": 0, "destination": "https://shop.example/a?b=1&c=2"}


@pytest.mark.parametrize(
    ("words", "links", "pixels"),
    [((), 0, 0), (("--links",), 1, 0), (("--opens",), 0, 1), (("--opens", "--links"), 1, 1)],
)
def test_one_document_by_each_purpose(inkling: Inkling, words: tuple[str, ...], links: int, pixels: int) -> None:
    done = inkling.in_process("rewrite", "--html", *words, stdin=HTML)
    assert (done.code, done.err) == (0, "")
    hrefs = urls(done.text)
    assert [sum(kind in url for url in hrefs) for kind in ("/c/", "/o/")] == [links, pixels]
    if not words:
        assert done.out == HTML


def test_a_hidden_link_says_what_it_is(inkling: Inkling) -> None:
    link = urls(inkling.in_process("rewrite", "--html", "--links", stdin=HTML).text)[0]
    keys = load_or_make_keys(inkling.folder / "data")
    trap = link.partition("/c/")[0] + "/c/" + Tokens(keys).trap("abcdefghijk")
    done = inkling.in_process("inspect", trap)
    assert (done.code, json.loads(done.text)) == (0, {"kind": "hidden_link", "valid": True, "delivery": "abcdefghijk"})


def test_bytes_that_are_no_text_pass_through(inkling: Inkling) -> None:
    document = b"<p>\xff\xfe \x80 <a href='https://shop.example/'>x</a></p>"
    assert inkling.in_process("rewrite", "--html", stdin=document).out == document
    assert b"\xff\xfe \x80" in inkling.in_process("rewrite", "--html", "--links", stdin=document).out


@pytest.mark.parametrize("stdin", [TEXT_ONLY, b"", b"no message at all", MESSAGE.replace(b"alternative", b"encrypted")])
def test_what_cannot_be_changed_passes_through_and_says_why(inkling: Inkling, stdin: bytes) -> None:
    done = inkling.in_process("rewrite", "--opens", "--links", stdin=stdin)
    assert (done.code, done.out) == (0, stdin)
    assert done.sentence.startswith("left untouched: ")


def test_the_addresses_are_those_of_the_tracking_host(inkling: Inkling) -> None:
    done = inkling.in_process("rewrite", "--html", "--opens", stdin=HTML, TRACKING_URL="https://t.example")
    assert b'src="https://t.example/o/' in done.out


def test_what_a_url_says(inkling: Inkling) -> None:
    context = inkling.context()
    delivery = new_public_id()
    pixel, link = context.pixel_url(delivery), context.click_url(delivery, 3, "https://пример.example/ж?a=1#b")
    click = {"kind": "click", "valid": True, "delivery": delivery, "link": 3}
    assert json.loads(inkling.in_process("inspect", pixel).text) == {
        "kind": "open",
        "valid": True,
        "delivery": delivery,
    }
    said = json.loads(inkling.in_process("inspect", link).text)
    assert said == click | {"destination": "https://пример.example/ж?a=1#b"}
    assert json.loads(inkling.in_process("inspect", link.replace("127.0.0.1:8000", "old.example")).text) == said
    context.database.close()


def test_urls_that_say_nothing(inkling: Inkling) -> None:
    context = inkling.context()
    delivery = new_public_id()
    pixel, link = context.pixel_url(delivery), context.click_url(delivery, 0, "https://shop.example/")
    foreign = Inkling(inkling.folder / "elsewhere").context().pixel_url(delivery)
    forged = link[:-1] + ("A" if link[-1] != "A" else "B")
    swapped = link.replace("/c/", "/o/"), pixel.replace("/o/", "/c/")
    for url, kind in (
        (forged, "click"),
        (link[:-9], "click"),
        (pixel[:30], "open"),
        (foreign, "open"),
        (swapped[0], "open"),
        (swapped[1], "click"),
        ("https://shop.example/", None),
        ("", None),
        ("/c/", None),
        ("not a url at all", None),
    ):
        done = inkling.in_process("inspect", url)
        assert (done.code, json.loads(done.text)) == (1, {"kind": kind, "valid": False}), url
    context.database.close()


def test_a_url_that_is_none(inkling: Inkling) -> None:
    done = inkling.in_process("inspect", "http://[::1/c/abc")
    assert (done.code, done.sentence) == (1, "http://[::1/c/abc is no URL.")


HIT = {
    "id": "a",
    "kind": "open",
    "ip": "198.51.100.7",
    "seconds_after_send": 3600,
    "headers": {"user-agent": "curl/8.9"},
}


def test_hits_are_judged(inkling: Inkling) -> None:
    lines = [json.dumps(HIT), "", json.dumps(HIT | {"id": "ж", "kind": "click", "link": 0})]
    done = inkling("judge", stdin="\n".join(lines).encode())
    assert (done.code, done.err) == (0, "")
    verdicts = [json.loads(line) for line in done.text.splitlines()]
    assert [(v["id"], v["event"]) for v in verdicts] == [("a", 0), ("ж", 0)]
    assert all(set(v) == {"id", "event", "class", "confidence", "reasons", "alert"} for v in verdicts)
    assert not any(v["alert"] for v in verdicts), "curl is no person"


def test_bad_lines_are_named_and_the_others_judged(inkling: Inkling, tmp_path: Path) -> None:
    (tmp_path / "hits.jsonl").write_text(f'{{"kind": \n{json.dumps(HIT)}\n{{"kind": "glance", "ip": "1.2.3.4"}}\n[]\n')
    done = inkling.in_process("judge", str(tmp_path / "hits.jsonl"))
    assert done.code == 1
    assert [json.loads(line)["id"] for line in done.text.splitlines()] == ["a"]
    assert [line.partition(":")[0] for line in done.err.splitlines()] == ["line 1", "line 3", "line 4"]
    assert "Traceback" not in done.err


@pytest.mark.parametrize("line", [b"[" * 100_000, b"null", b'"\\ud800"'])
def test_lines_that_are_traps(inkling: Inkling, line: bytes) -> None:
    done = inkling.in_process("judge", stdin=line + b"\n" + json.dumps(HIT).encode())
    assert (done.code, done.err[:7]) == (1, "line 1:")
    assert len(done.text.splitlines()) == 1


def test_an_id_that_is_half_a_character_comes_back(inkling: Inkling) -> None:
    done = inkling.in_process("judge", stdin=json.dumps(HIT | {"id": "\ud800"}).encode())
    assert (done.code, json.loads(done.text)["id"]) == (0, "\ud800")


def test_a_file_that_cannot_be_judged(inkling: Inkling, tmp_path: Path) -> None:
    (tmp_path / "hits.jsonl").write_bytes(b"\xff\xfe")
    assert "is not UTF-8 text" in inkling.in_process("judge", str(tmp_path / "hits.jsonl")).sentence
    assert "is not UTF-8 text" in inkling.in_process("judge", stdin=b"\xff\xfe").sentence
    assert (
        inkling.in_process("judge", "no-such-file").sentence == "no-such-file cannot be read: No such file or directory"
    )
    assert inkling.in_process("judge", str(tmp_path)).code == 1


def test_a_reader_that_goes_away_is_no_trouble(inkling: Inkling) -> None:
    """As in `inkling judge … | head`."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(inkling.command("judge"), env=inkling.environ(), **pipes)  # type: ignore[call-overload]
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate((json.dumps(HIT) + "\n").encode() * 500, timeout=60)
    assert (process.returncode, err) == (1, b"")
