"""The sandbox world as mail programs see it: real smtplib and IMAPClient against it."""

import gc
import imaplib
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from email import message_from_bytes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from imapclient import IMAPClient
from imapclient.exceptions import IMAPClientError, LoginError

from tests.servers import listening
from tracker.demo.world import World, answer

ANNA, BORIS, SECRET = "anna@inkling.example", "boris@buyer.example", 'pass "word" \\'
LETTER = (
    b"From: Anna <anna@inkling.example>\r\nTo: boris@buyer.example\r\nSubject: Offer\r\n"
    b"Message-ID: <1@inkling.example>\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nHello\r\n.dot\r\n"
)
# what a server must give back byte for byte, however odd
ODD_LETTERS = {
    "no header": b"no header at all\r\n\r\n",
    "no header and no name": b"\r\n\r\nbody\r\n",
    "eight-bit header": b"Subject: \xe4\xff\r\nX: \x00\r\n\r\nbody\r\n",
    "unfinished multipart": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nfoo\r\n--a",
    "broken addresses and date": b"From: <\r\nTo: ((((\r\nDate: garbage\r\n\r\nhi",
    "header only": b"Subject: nothing follows\r\n\r\n",
    "bare line feeds": b"Subject: x\n\nbody\nmore\n",
    "long line": b"Subject: x\r\n\r\n" + b"y" * 200_000 + b"\r\n",
}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as world:
        world.add_mailbox(ANNA, SECRET, "Anna")
        yield world


@pytest.fixture
def anna(world: World) -> Iterator[IMAPClient]:
    with IMAPClient(world.host, world.imap_port, ssl=False, timeout=10) as client:
        client.login(ANNA, SECRET)
        yield client


def submit(world: World, *recipients: str, raw: bytes = LETTER) -> dict[str, tuple[int, bytes]]:
    with smtplib.SMTP(world.host, world.smtp_port) as client:
        client.login(ANNA, SECRET)
        return client.sendmail(ANNA, recipients, raw)


# submission


def test_submitted_mail_lies_in_the_recipients_mailbox(world: World) -> None:
    submit(world, BORIS, "Carla@Buyer.example")
    (letter,) = world.mailbox(BORIS).letters()
    assert letter.raw.endswith(LETTER)
    trace = message_from_bytes(letter.raw)
    assert (trace["Return-Path"], trace["Delivered-To"]) == (f"<{ANNA}>", BORIS)
    assert letter.flags == frozenset()
    assert abs(datetime.now(UTC) - letter.received_at) < timedelta(minutes=1)
    assert len(world.mailbox("carla@buyer.example").letters()) == 1
    assert world.mailbox(ANNA).letters() == []


def test_every_letter_is_also_a_file(world: World) -> None:
    submit(world, BORIS, "../../up/the+road@buyer.example")
    files = [path for path in world.folder.rglob("*") if path.is_file()]
    assert len(files) == 2
    assert all(path.parent.parent == world.folder and path.suffix == ".eml" for path in files)
    assert all(path.read_bytes().endswith(LETTER) for path in files)


@pytest.mark.parametrize(
    ("login", "secret"), [(ANNA, "wrong"), (BORIS, ""), ("", ""), (ANNA, ""), ("nobody@x.example", SECRET)]
)
def test_wrong_logins_may_neither_submit_nor_read(world: World, login: str, secret: str) -> None:
    world.deliver(LETTER, BORIS)
    with smtplib.SMTP(world.host, world.smtp_port) as client, pytest.raises(smtplib.SMTPAuthenticationError):
        client.login(login, secret)
    with IMAPClient(world.host, world.imap_port, ssl=False, timeout=10) as reader, pytest.raises(LoginError):
        reader.login(login, secret)


def test_nobody_submits_without_login(world: World) -> None:
    with smtplib.SMTP(world.host, world.smtp_port) as client, pytest.raises(smtplib.SMTPSenderRefused) as refused:
        client.sendmail(ANNA, [BORIS], LETTER)
    assert refused.value.smtp_code == 530
    assert not any(mailbox.address == BORIS for mailbox in world.mailboxes)


def test_the_bouncing_address_is_refused_and_the_others_are_not(world: World) -> None:
    refused = submit(world, "Bounce@anywhere.example", BORIS)
    assert refused == {"Bounce@anywhere.example": (550, b"5.1.1 There is no such person in the sandbox")}
    assert len(world.mailbox(BORIS).letters()) == 1


def test_the_slow_address_is_put_off_twice_before_each_letter(world: World) -> None:
    tries = [submit(world, "slow@buyer.example", BORIS) for _ in range(6)]
    codes = [answers.get("slow@buyer.example", (250,))[0] for answers in tries]
    assert codes == [451, 451, 250, 451, 451, 250]
    assert len(world.mailbox("slow@buyer.example").letters()) == 2


# reading over IMAP


def test_the_sent_folder_is_found_by_its_special_use(anna: IMAPClient) -> None:
    assert anna.has_capability("SPECIAL-USE")
    assert anna.find_special_folder(rb"\Sent") == "Sent"
    assert {name for _, _, name in anna.list_folders()} == {"INBOX", "Drafts", "Sent", "Junk", "Trash"}


def test_append_with_flags_and_date(world: World, anna: IMAPClient) -> None:
    when = datetime(2026, 3, 1, 12, tzinfo=timezone(timedelta(hours=5)))
    assert b"APPENDUID" in anna.append("Sent", LETTER, flags=[rb"\Seen"], msg_time=when)
    (letter,) = world.mailbox(ANNA).letters("Sent")
    assert (letter.raw, letter.received_at) == (LETTER, when)
    assert letter.flags == {"\\Seen"}
    anna.normalise_times = False
    anna.select_folder("Sent", readonly=True)
    assert anna.fetch([letter.uid], ["INTERNALDATE"])[letter.uid][b"INTERNALDATE"] == when


def test_append_without_a_date_gets_the_time_of_arrival(world: World, anna: IMAPClient) -> None:
    anna.append("INBOX", LETTER)
    anna.normalise_times = False
    anna.select_folder("INBOX")
    (uid,) = anna.search()
    date = anna.fetch([uid], ["INTERNALDATE"])[uid][b"INTERNALDATE"]
    assert abs(datetime.now(UTC) - date) < timedelta(minutes=1)
    assert abs(datetime.now(UTC) - world.mailbox(ANNA).letters()[0].received_at) < timedelta(minutes=1)


@pytest.mark.parametrize("raw", ODD_LETTERS.values(), ids=ODD_LETTERS)
def test_odd_letters_come_back_byte_for_byte(world: World, anna: IMAPClient, raw: bytes) -> None:
    uid = world.deliver(raw, ANNA)
    anna.select_folder("INBOX", readonly=True)
    fetched = anna.fetch([uid], ["FLAGS", "INTERNALDATE", "RFC822.SIZE", "BODY.PEEK[]", "BODY.PEEK[HEADER]"])[uid]
    assert fetched[b"BODY[]"] == raw
    assert fetched[b"RFC822.SIZE"] == len(raw)
    assert raw.startswith(fetched[b"BODY[HEADER]"].rstrip())
    assert fetched[b"FLAGS"] in ((), (rb"\Recent",))
    assert world.mailbox(ANNA).letters()[0].raw == raw


@pytest.mark.parametrize("raw", [b"Subject: x\r\n", b"Subject: x", b"Subject: x\n"])
def test_a_letter_without_an_empty_line_gets_one(world: World, raw: bytes) -> None:
    world.deliver(raw, ANNA)
    assert world.mailbox(ANNA).letters()[0].raw == b"Subject: x\r\n\r\n"


def test_peeking_marks_nothing(world: World, anna: IMAPClient) -> None:
    uid = world.deliver(LETTER, ANNA)
    anna.select_folder("INBOX")
    anna.fetch([uid], ["BODY.PEEK[]"])
    assert world.mailbox(ANNA).letters()[0].flags == frozenset()
    anna.fetch([uid], ["BODY[]"])
    assert world.mailbox(ANNA).letters()[0].flags == {"\\Seen"}


def test_search_after_a_cursor(world: World, anna: IMAPClient) -> None:
    uids = [world.deliver(LETTER.replace(b"<1@", b"<%d@" % n), ANNA) for n in range(4)]
    selected = anna.select_folder("INBOX", readonly=True)
    assert selected[b"UIDNEXT"] == uids[-1] + 1
    assert selected[b"EXISTS"] == 4
    assert anna.search(["UID", f"{uids[2]}:*"]) == uids[2:]
    # a range that begins after the end still holds the last letter (RFC 9051 §6.4.4)
    assert anna.search(["UID", f"{uids[-1] + 1}:*"]) == [uids[-1]]
    assert anna.search(["HEADER", "Message-ID", "<2@inkling.example>"]) == [uids[2]]
    assert anna.search(["UNSEEN"]) == uids
    assert anna.fetch([uids[-1] + 7], ["FLAGS"]) == {}


def test_uids_and_uidvalidity_stay_between_sessions(world: World, anna: IMAPClient) -> None:
    world.deliver(LETTER, ANNA)
    first = anna.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT", "MESSAGES"])
    with IMAPClient(world.host, world.imap_port, ssl=False, timeout=10) as again:
        again.login(ANNA, SECRET)
        assert again.folder_status("INBOX", ["UIDVALIDITY", "UIDNEXT", "MESSAGES"]) == first
    assert first[b"MESSAGES"] == 1


def test_store_and_expunge_only_what_was_named(world: World, anna: IMAPClient) -> None:
    uids = [world.deliver(LETTER, ANNA) for _ in range(3)]
    anna.select_folder("INBOX")
    anna.add_flags(uids, [rb"\Deleted"])
    anna.uid_expunge(uids[:1])
    assert [letter.uid for letter in world.mailbox(ANNA).letters()] == uids[1:]
    anna.remove_flags(uids[1:2], [rb"\Deleted"])
    anna.expunge()
    assert [letter.uid for letter in world.mailbox(ANNA).letters()] == uids[1:2]
    next_uid = world.deliver(LETTER, ANNA)
    assert next_uid > uids[-1]


def test_examine_refuses_changes(world: World, anna: IMAPClient) -> None:
    uid = world.deliver(LETTER, ANNA)
    anna.select_folder("INBOX", readonly=True)
    with pytest.raises((IMAPClientError, imaplib.IMAP4.error)):
        anna.add_flags([uid], [rb"\Seen"])
    assert world.mailbox(ANNA).letters()[0].flags == frozenset()


def test_move_to_another_folder(world: World, anna: IMAPClient) -> None:
    uid = world.deliver(LETTER, ANNA)
    anna.select_folder("INBOX")
    anna.move([uid], "Trash")
    assert world.mailbox(ANNA).letters() == []
    assert world.mailbox(ANNA).letters("Trash")[0].raw == LETTER


def test_idle_tells_of_a_new_letter(world: World, anna: IMAPClient) -> None:
    anna.select_folder("INBOX")
    anna.idle()
    world.deliver(LETTER, ANNA)
    assert (1, b"EXISTS") in anna.idle_check(timeout=10)
    anna.idle_done()
    anna.noop()


def test_an_idle_session_is_not_collected_as_garbage(anna: IMAPClient) -> None:
    anna.select_folder("INBOX")
    for _ in range(3):
        gc.collect()
        anna.noop()


# answering


def test_a_recipient_answers(world: World, anna: IMAPClient) -> None:
    world.add_mailbox(BORIS, "other", "Boris Ö")
    submit(world, BORIS)
    raw = world.reply(BORIS, world.mailbox(BORIS).letters()[0].uid, "Tell me more, пожалуйста!")
    anna.select_folder("INBOX")
    (uid,) = anna.search()
    assert anna.fetch([uid], ["BODY.PEEK[]"])[uid][b"BODY[]"] == raw
    reply = message_from_bytes(raw)
    assert reply["Subject"] == "Re: Offer"
    assert reply["In-Reply-To"] == reply["References"] == "<1@inkling.example>"
    body = reply.get_payload(decode=True)
    assert isinstance(body, bytes)
    assert body.decode().startswith("Tell me more, пожалуйста!")
    assert "> Hello" in body.decode()


def test_an_answer_goes_to_reply_to_and_is_not_called_re_twice() -> None:
    raw = b"Reply-To: <team@inkling.example>\r\nReferences: <0@x> <1@x>\r\nMessage-ID: <2@x>\r\nSubject: RE: Hi\r\n"
    reply, to = answer(raw + LETTER, BORIS, "", "ok", datetime.now(UTC))
    assert to == "team@inkling.example"
    assert message_from_bytes(reply)["Subject"] == "RE: Hi"
    assert message_from_bytes(reply)["References"] == "<0@x> <1@x> <2@x>"


def test_nobody_to_answer(world: World) -> None:
    uid = world.deliver(b"Subject: x\r\n\r\nhi\r\n", BORIS)
    with pytest.raises(ValueError, match="Reply-To"):
        world.reply(BORIS, uid, "?")
    with pytest.raises(KeyError):
        world.reply(BORIS, uid + 1, "?")


@given(st.binary(), st.binary(), st.text())
def test_an_answer_to_anything_is_a_letter_or_a_value_error(sender: bytes, rest: bytes, text: str) -> None:
    raw = b"From: " + sender + b" <a@b.example>\r\nMessage-ID: <" + rest + b">\r\nSubject: " + rest + b"\r\n\r\n" + rest
    try:
        reply, to = answer(raw, BORIS, "Boris", text, datetime.now(UTC))
    except ValueError:
        return
    assert message_from_bytes(reply)["To"]
    assert "@" in to


# the life of a world


def test_many_letters_from_many_threads(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        uids = list(pool.map(lambda _: world.deliver(LETTER, BORIS), range(40)))
    assert sorted(uids) == [letter.uid for letter in world.mailbox(BORIS).letters()]
    assert len(set(uids)) == 40


def test_a_world_stops_with_clients_in_the_middle_of_things(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.start()
    world.add_mailbox(ANNA, SECRET)
    reader = IMAPClient(world.host, world.imap_port, ssl=False, timeout=10)
    reader.login(ANNA, SECRET)
    reader.select_folder("INBOX")
    reader.idle()
    sender = smtplib.SMTP(world.host, world.smtp_port)
    sender.ehlo()
    world.stop()
    assert not listening(world.imap_port)
    assert not listening(world.smtp_port)
    reader.shutdown()
    sender.close()


def test_unknown_mailboxes_and_folders(world: World) -> None:
    with pytest.raises(KeyError):
        world.mailbox("stranger@x.example")
    with pytest.raises(KeyError):
        world.mailbox(ANNA).letters("No such folder")
