"""`inkling read`: what incoming messages are, by the code of production, without a data folder."""

import json
from pathlib import Path

import pytest

from tests.commands.inkling import Inkling

LETTERS = sorted((Path(__file__).resolve().parent.parent / "data").rglob("*.eml"))
KEYS = {
    *(
        "file",
        "category",
        "reason",
        "from",
        "reply_to",
        "to",
        "subject",
        "sent_at",
        "message_id",
        "in_reply_to",
        "text",
    ),
    *("own_words", "html", "files", "writer", "report", "opt_out", "warnings"),
}
FORM = (
    b"From: Web form <robot@site.example>\r\nReply-To: Anna Berg <anna@client.example>\r\nTo: info@firm.example\r\n"
    b"Subject: Chairs\r\nDate: Mon, 2 Nov 2026 10:00:00 +0100\r\nMessage-ID: <1@site.example>\r\n"
    b"In-Reply-To: <0@firm.example>\r\n\r\nHow much? Please do not track me.\r\n\r\n> older\r\n"
)


def test_every_letter_of_the_tests_is_a_line(inkling: Inkling) -> None:
    assert len(LETTERS) > 10
    done = inkling("read", *map(str, LETTERS))
    assert (done.code, done.err) == (0, "")
    lines = [json.loads(line) for line in done.text.splitlines()]
    assert [line["file"] for line in lines] == list(map(str, LETTERS))
    assert all(line.keys() == KEYS for line in lines)


def test_a_form_a_wish_and_a_quotation(inkling: Inkling) -> None:
    done = inkling("read", "--own", "Info@Firm.example", "--form-robot", "robot@site.example", stdin=FORM)
    said = json.loads(done.text)
    assert (said["file"], said["category"], said["writer"]) == ("-", "human", "anna@client.example")
    assert said["from"] == {"name": "Web form", "address": "robot@site.example"}
    assert said["own_words"] == "How much? Please do not track me."
    assert said["opt_out"] == "Please do not track me."
    assert (said["sent_at"], said["in_reply_to"]) == ("2026-11-02T09:00:00+00:00", ["0@firm.example"])
    assert (said["report"], said["files"], said["html"]) == (None, [], False)


def test_a_report_says_per_recipient_what_became_of_it(inkling: Inkling) -> None:
    path = next(path for path in LETTERS if path.name.startswith("k05"))
    said = json.loads(inkling("read", str(path)).text)
    assert (said["category"], said["report"]["kind"]) == ("bounce", "failed")
    assert {each["action"] for each in said["report"]["recipients"]} == {"failed", "delayed"}
    assert said["opt_out"] is None


@pytest.mark.parametrize("raw", [b"", b"\0\xff\xfe", b"no header at all", b"Subject: =?utf-8?q?=ff?=\r\n\r\n"])
def test_whatever_it_holds_it_is_read(inkling: Inkling, raw: bytes) -> None:
    done = inkling("read", stdin=raw)
    assert (done.code, done.err) == (0, "")
    assert json.loads(done.text).keys() == KEYS


def test_a_file_that_is_not_there_and_an_address_that_is_none(inkling: Inkling) -> None:
    assert (inkling("read", "/nowhere.eml").code, inkling("read", "--own", "nobody").code) == (1, 1)
    assert inkling("read", "/nowhere.eml").err == "/nowhere.eml cannot be read: No such file or directory\n"
