"""What a letter is: the table of classes, and traps K1 to K7, K11, K12."""

import pytest

from tests.inbound.corpus import raw, simple
from tracker.inbound.parse.category import categorise
from tracker.inbound.parse.forwarded import inner_sender, is_forwarded
from tracker.inbound.parse.letter import parse
from tracker.inbound.parse.reports import Failure, read_report
from tracker.mail.addresses import Address

OWN = frozenset({"info@site.example", "marina@seller.example"})


def category(letter: bytes) -> str:
    return categorise(parse(letter), OWN, False).category


@pytest.mark.parametrize(
    ("letter", "expected"),
    [
        (simple("Subject: chairs"), "human"),
        (simple("Auto-Submitted: no"), "human"),
        (simple("Auto-Submitted: No (a person)"), "human"),
        (simple("X-Auto-Response-Suppress: All"), "human"),
        (simple("Auto-Submitted: auto-replied; owner-email=x"), "auto_reply"),
        (simple("Auto-Submitted: auto-generated"), "auto_generated"),
        (simple("X-Autoreply: yes"), "auto_reply"),
        (simple("Precedence: auto_reply"), "auto_reply"),
        (simple("Subject: Автоответ: в отпуске"), "auto_reply"),
        (simple("Subject: Out of Office"), "auto_reply"),
        (simple("Subject: OOO: back on Monday"), "auto_reply"),
        (simple("Subject: OOO Romashka asks for a price"), "human"),
        (simple("Subject: Re: Automatic reply: chairs"), "human"),
        (simple("List-Unsubscribe: <https://news.example/u>"), "bulk"),
        (simple("List-Id: <n.example>", "Precedence: list"), "bulk"),
        (simple("List-Id: <info.site.example>", "List-Post: <mailto:info@site.example>", "Precedence: list"), "human"),
        (simple(sender="Marina <Marina@Seller.example>"), "own_outgoing"),
        (simple("Reply-To: anna@client.example", sender="info@site.example"), "human"),
        (simple("Reply-To: info@site.example", sender="info@site.example"), "own_outgoing"),
        (raw("k04-out-of-office"), "auto_reply"),
        (raw("k05-two-recipients-failed-and-delayed"), "bounce"),
        (raw("k06-report-without-original"), "bounce"),
        (raw("k07-postmaster-is-a-person"), "human"),
        (simple("Return-Path: <>", "Subject: failure notice", sender="MAILER-DAEMON@mx.example"), "bounce"),
        (simple("Subject: Undeliverable chairs?"), "human"),
        (simple("Content-Type: multipart/report; report-type=disposition-notification; boundary=x"), "mdn"),
    ],
)  # fmt: skip
def test_categories(letter: bytes, expected: str) -> None:
    judged = categorise(parse(letter), OWN, False)
    assert judged.category == expected
    assert judged.reason


def test_k12_our_signed_header_comes_before_everything() -> None:
    assert categorise(parse(raw("k05-two-recipients-failed-and-delayed")), OWN, True).category == "own_notification"


def test_k5_each_recipient_has_his_own_result() -> None:
    report = read_report(raw("k05-two-recipients-failed-and-delayed"))
    assert report.failures == (
        Failure("gone@buyer.example", "failed", "5.1.1", "550 5.1.1 no such user"),
        Failure("slow@buyer.example", "delayed", "4.4.1", "451 4.4.1 try later"),
    )
    assert report.message_id == "m-abc@seller.example"


def test_k6_without_the_original_nothing_is_guessed() -> None:
    report = read_report(raw("k06-report-without-original"))
    assert [failure.address for failure in report.failures] == ["full@buyer.example"]
    assert report.message_id == ""


def test_original_recipient_comes_before_final() -> None:
    letter = raw("k06-report-without-original").replace(
        b"Final-Recipient:", b"Original-Recipient: rfc822;Info@Buyer.example\r\nFinal-Recipient:"
    )
    assert read_report(letter).failures[0].address == "info@buyer.example"


@pytest.mark.parametrize(
    ("action", "status", "outcome"),
    [
        (b"failed", b"5.1.1", "failed"),
        (b"failed", b"4.4.7", "failed"),
        (b"delayed", b"4.4.1", "delayed"),
        (b"relayed", b"2.0.0", "delivered"),
        (b"", b"4.2.2", "delayed"),
        (b"", b"", "failed"),
    ],
)
def test_outcomes(action: bytes, status: bytes, outcome: str) -> None:
    letter = raw("k06-report-without-original").replace(b"Action: failed", b"Action: " + action)
    letter = letter.replace(b"Status: 5.2.2", b"Status: " + status).replace(b"552 mailbox full", b"mailbox full")
    assert read_report(letter).failures[0].outcome == outcome


def test_reports_for_people_name_the_recipient_in_a_header() -> None:
    letter = simple("X-Failed-Recipients: gone@buyer.example, a@b.example", sender="mailer-daemon@mx.example")
    assert [failure.address for failure in read_report(letter).failures] == ["gone@buyer.example", "a@b.example"]


def test_k11_forwarded_is_a_flag() -> None:
    forwarded = parse(raw("k11-forwarded-by-a-colleague"))
    assert is_forwarded(forwarded)
    assert forwarded.sender is not None
    assert forwarded.sender.address == "anna@client.example"
    assert inner_sender(raw("k11-forwarded-by-a-colleague"), forwarded) == Address("eve@buyer.example", "Eve")
    assert not is_forwarded(parse(simple("Subject: Re: forward planning")))
    assert is_forwarded(parse(simple("Subject: x", body="hi\r\n-------- Пересылаемое сообщение --------\r\n")))
    assert is_forwarded(parse(simple("Resent-From: a@b.example")))


VERA = "Vera <vera@buyer.example>"


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Fwd: x", f"fyi\n\n---------- Forwarded message ---------\nОт: {VERA}\nDate: вс\n\nhi"),
        ("Fwd: x", f"---------- Forwarded message ---------\nDa: {VERA}\nDate: dom"),
        ("Fwd: x", f"Anfang der weitergeleiteten Nachricht:\n\nVon: {VERA}\nBetreff: x"),
        ("Fwd: x", f"Début du message réexpédié :\n\nDe: {VERA}\nObjet: x"),
        ("TR: x", f"-------- Message transféré --------\nSujet : x\nDate : Sun\nDe : {VERA}\nPour : a"),
        ("FW: x", f"From: {VERA}\nSent: Sunday\nTo: a@site.example\nSubject: x\n\nhi"),
        ("FW: x", f"________________________________\nОт: {VERA}\nОтправлено: вс\nКому: a\nТема: x\n\nhi"),
        ("PD: x", f"Od: {VERA}\nWysłano: nd\nDo: a\nTemat: x\n\nhi"),
        ("Fwd: x", f'-------- Пересылаемое сообщение --------\n29.11.2026, 18:00, "Vera" {VERA[5:]}:\n\nhi'),
        ("Fw: x", f"----- Forwarded by Ivan/Klient on 29.11.2026 18:00 -----\n\nFrom:\t{VERA}\nTo:\ta"),
    ],
)
def test_who_wrote_what_is_handed_on_is_found_in_any_language(subject: str, body: str) -> None:
    octets = simple(f"Subject: {subject}", body=body.replace("\n", "\r\n"))
    author = inner_sender(octets, parse(octets))
    assert author is not None
    assert author.address == "vera@buyer.example"


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        ("Re: x", f"Ok\n\nFrom: {VERA}\nSent: Sunday\nTo: a@site.example\nSubject: x\n\nhi"),
        ("Re: x", f"Ok\n\n-----Original Message-----\nFrom: {VERA}\nTo: a\nSubject: x"),
        ("Fwd: x", f"Call {VERA} please"),
        ("forward planning", "We go forward: all of us"),
    ],
)
def test_nobody_is_found_where_nothing_is_handed_on(subject: str, body: str) -> None:
    octets = simple(f"Subject: {subject}", body=body.replace("\n", "\r\n"))
    assert inner_sender(octets, parse(octets)) is None
