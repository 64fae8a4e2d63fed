"""The journey of an arriving letter on both databases: once, whole, counted rightly, told once."""

import threading
import zlib
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import func
from sqlmodel import Session, col, select

from tests.fixtures.contexts import People
from tests.inbound.arrivals import Arrivals, at, connected
from tests.inbound.corpus import DATA, raw, simple
from tracker.inbound.accept import accept
from tracker.inbound.parse.letter import content_of
from tracker.mail.message_ids import NOTICE_HEADER, notice_mark
from tracker.models import (
    FeedItem,
    Letter,
    LetterAttachment,
    LetterBody,
    LetterCopy,
    LetterRaw,
    Mailbox,
    MailboxProblem,
    Notice,
    User,
)
from tracker.runtime.context import AppContext


def count(context: AppContext, table: type) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(table)).one()


def raw_of(session: Session, letter: Letter) -> bytes:
    pieces = select(LetterRaw.content).where(LetterRaw.letter_id == letter.id).order_by(col(LetterRaw.number))
    return b"".join(zlib.decompress(piece) for piece in session.exec(pieces))


def test_a_letter_is_stored_whole(inbox: Arrivals, context: AppContext) -> None:
    octets = raw("p21-hostile-file-names")
    letter = inbox.arrive(octets)
    assert (letter.category, letter.counted, letter.sender) == ("human", True, "anna@client.example")
    assert letter.recipient == "info@site.example"
    assert letter.has_attachments
    with context.database.reading() as session:
        assert raw_of(session, letter) == octets
        assert session.get_one(LetterBody, letter.id).text == "Files."
        files = session.exec(select(LetterAttachment).where(LetterAttachment.letter_id == letter.id)).all()
        assert [file.filename for file in files][:2] == ["passwd", "_CON"]
        assert content_of(octets, files[0].part) == b"%PDF"
        assert session.exec(select(FeedItem.kind)).all() == ["letter"]


@pytest.mark.parametrize("context", ["postgresql"], indirect=True)
def test_every_letter_of_the_corpus_can_be_stored(inbox: Arrivals) -> None:
    for path in sorted(DATA.glob("*.eml")):
        inbox.arrive(path.read_bytes())
        inbox.arrive(path.read_bytes() + b"\0\xff\xfe", 1)


def test_a_great_letter_is_kept_in_pieces(inbox: Arrivals, context: AppContext) -> None:
    octets = simple(body="chairs and tables\r\n" * 200_000)
    letter = inbox.arrive(octets)
    with context.database.reading() as session:
        assert raw_of(session, letter) == octets
    assert count(context, LetterRaw) == 4


def test_another_copy_is_the_same_letter(inbox: Arrivals, context: AppContext) -> None:
    fetched = inbox.fetched(simple("Message-ID: <a@client.example>"))
    first, again = inbox.take(fetched), inbox.take(fetched)
    elsewhere = inbox.take(inbox.fetched(b"Received: from x\r\n" + simple("Message-ID: <a@client.example>")))
    assert [item.outcome for item in (first, again, elsewhere)] == ["new", "known", "known"]
    assert (count(context, Letter), count(context, LetterCopy)) == (1, 2)


def test_p24_the_same_message_id_on_another_letter_is_another_letter(inbox: Arrivals) -> None:
    inbox.arrive(simple("Message-ID: <a@client.example>", body="one"))
    other = inbox.arrive(simple("Message-ID: <a@client.example>", body="two"))
    assert "duplicate_message_id" in other.flags
    assert len(inbox.letters()) == 2


def test_f37_a_deleted_letter_does_not_come_back(inbox: Arrivals, context: AppContext) -> None:
    fetched = inbox.fetched(simple())
    letter = inbox.take(fetched)
    with context.database.session_scope() as session:
        row = session.get_one(Letter, letter.letter_id)
        row.deleted_at = at(1)
        session.add(row)
    assert inbox.take(fetched).outcome == "deleted"
    assert inbox.take(inbox.fetched(simple())).outcome == "deleted"


def test_k12_our_own_notice_is_dropped_and_a_forged_one_is_not(inbox: Arrivals, context: AppContext) -> None:
    mark = notice_mark(context.keyring, "<n-1@site.example>")
    fields = ("Message-ID: <n-1@site.example>", f"{NOTICE_HEADER}: {mark}")
    assert inbox.take(inbox.fetched(simple(*fields))).outcome == "dropped"
    assert count(context, Letter) == 0
    forged = simple("Message-ID: <n-2@site.example>", f"{NOTICE_HEADER}: {mark}")
    assert inbox.take(inbox.fetched(forged)).outcome == "new"


@pytest.mark.parametrize(
    ("hours", "days", "counts"),
    [
        ([0, 20, 30], 1, [True, False, True]),
        ([0, 24], 1, [True, True]),
        ([48, 30, 24, 0], 1, [True, False, True, True]),
        ([0, 1, 2], 0, [True, True, True]),
    ],
    ids=["last-counted", "exactly", "backwards", "nought"],
)
def test_the_repeat_period(inbox: Arrivals, hours: list[float], days: int, counts: list[bool]) -> None:
    inbox.change(repeat_period_days=days)
    letters = [inbox.enquiry(hour) for hour in hours]
    assert [letter.counted for letter in letters] == counts
    enquiries = {letter.id for letter in letters if letter.counted}
    assert all(letter.repeat_of_id in enquiries for letter in letters if not letter.counted)


def test_the_period_in_force_when_it_is_decided_and_no_other(inbox: Arrivals) -> None:
    inbox.enquiry(0)
    inbox.change(repeat_period_days=0)
    assert inbox.enquiry(1).counted
    inbox.change(repeat_period_days=30)
    assert not inbox.enquiry(100).counted
    assert [letter.counted for letter in inbox.letters()] == [True, True, False]


def test_senders_and_recipients_are_counted_apart_and_tags_fold(inbox: Arrivals) -> None:
    assert inbox.enquiry(0).counted
    assert inbox.enquiry(1, sender="boris@client.example").counted
    assert inbox.enquiry(1, sender="anna+2@client.example").counted
    assert not inbox.enquiry(2, sender='"Boss" <ANNA@Client.Example>').counted
    tagged = simple(body="other words").replace(b"To: info@", b"To: info+0011@")
    assert not inbox.arrive(tagged, 3).counted


def test_a_withdrawn_letter_is_seen_by_nobody(inbox: Arrivals, context: AppContext) -> None:
    first = inbox.enquiry(0)
    second = inbox.enquiry(1)
    with context.database.session_scope() as session:
        row = session.get_one(Letter, first.id)
        row.withdrawn_at = at(2)
        session.add(row)
    assert inbox.enquiry(3).counted
    assert not inbox.letter(second.id or 0).counted


def test_machines_do_not_count(inbox: Arrivals) -> None:
    assert not inbox.arrive(simple("Auto-Submitted: auto-replied")).counted
    assert not inbox.arrive(simple("List-Unsubscribe: <https://x.example>")).counted
    assert inbox.enquiry(1).counted


def test_a_form_that_writes_in_our_name_is_its_visitor(inbox: Arrivals) -> None:
    letter = inbox.arrive(simple("Reply-To: Eve <eve@client.example>", sender="Form <info@site.example>"))
    assert (letter.category, letter.sender, letter.sender_name) == ("human", "eve@client.example", "Eve")
    assert letter.counted


def test_f33_recovered_and_backfilled_letters_do_not_count_and_are_not_told(
    inbox: Arrivals, context: AppContext
) -> None:
    assert not inbox.arrive(simple(body="a"), recovered=True).counted
    old = b"Received: from x by y; Mon, 2 Nov 2026 10:00:00 +0000\r\n" + simple(body="b")
    backfilled = inbox.arrive(old)
    assert backfilled.backfilled
    assert not backfilled.counted
    assert count(context, Notice) == 0
    assert inbox.enquiry(0).counted


def test_an_enquiry_is_told_once_and_repeats_and_first_loads_are_not(inbox: Arrivals, context: AppContext) -> None:
    inbox.enquiry(0)
    inbox.enquiry(1)
    inbox.enquiry(50, silent=True)
    with context.database.reading() as session:
        notices = session.exec(select(Notice)).all()
    assert [(item.event, item.letter_id) for item in notices] == [("letter", inbox.letters()[0].id)]
    inbox.change(notify_manager=False)
    inbox.enquiry(100)
    assert count(context, Notice) == 1


def test_k13_a_robot_is_stored_and_told_once(inbox: Arrivals, context: AppContext) -> None:
    inbox.change(repeat_period_days=0)
    for number in range(25):
        inbox.enquiry(number / 60)
    with context.database.reading() as session:
        events = [notice.event for notice in session.exec(select(Notice))]
    assert (events.count("letter"), events.count("loop")) == (20, 1)
    assert len(inbox.letters()) == 25


def test_k14_each_mailbox_has_its_own(inbox: Arrivals, context: AppContext, alice: User) -> None:
    other = connected(context, alice, "sales@site.example")
    for box in (inbox, other, inbox, other):
        box.arrive(simple("Message-ID: <same@client.example>"))
    assert (len(inbox.letters()), len(other.letters())) == (1, 1)


def test_nothing_of_one_person_is_anothers(inbox: Arrivals, context: AppContext, people: People) -> None:
    bob = people.user("Bob")
    his = connected(context, bob, "bob@site.example")
    his.enquiry(0)
    assert inbox.enquiry(1).counted
    assert {letter.user_id for letter in his.letters()} == {bob.id}


def test_what_cannot_be_understood_is_kept_with_its_bytes(inbox: Arrivals, context: AppContext) -> None:
    done = inbox.take(inbox.fetched(b"\xff\0", unparsed="ValueError: it is odd"))
    assert (done.outcome, done.touch) == ("new", False)
    letter = inbox.letter(done.letter_id or 0)
    assert letter.unparsed
    assert not letter.counted
    with context.database.reading() as session:
        assert raw_of(session, letter) == b"\xff\0"
        assert session.exec(select(MailboxProblem.code)).all() == ["unparsed"]


def test_f34_too_large_is_a_problem_to_tell(inbox: Arrivals, context: AppContext) -> None:
    assert inbox.arrive(simple(), too_large=True, size=60_000_000).size == 60_000_000
    with context.database.reading() as session:
        assert session.exec(select(MailboxProblem.code)).all() == ["too_large"]


@pytest.mark.parametrize("context", ["postgresql"], indirect=True)
def test_f35_many_workers_with_one_letter_store_one(inbox: Arrivals, context: AppContext) -> None:
    barrier = threading.Barrier(6)

    def bring(number: int) -> str:
        fetched = inbox.fetched(simple("Message-ID: <a@client.example>"))
        barrier.wait()
        return inbox.take(fetched).outcome

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(bring, range(6)))
    assert sorted(outcomes) == ["known"] * 5 + ["new"]
    assert (count(context, Letter), count(context, LetterCopy)) == (1, 6)


@pytest.mark.parametrize("context", ["postgresql"], indirect=True)
def test_many_workers_never_count_two_within_the_period(inbox: Arrivals, context: AppContext) -> None:
    """Each holds its transaction open after deciding, so that without the lock both would count."""
    assert inbox.enquiry(-1000).counted  # the row that is held is there, so that making it does not already queue them
    barrier = threading.Barrier(4)

    def bring(number: int) -> None:
        fetched = inbox.fetched(simple(body=f"letter {number}"), number / 100)
        with context.database.session_scope() as session:
            barrier.wait()
            accept(session, context, session.get_one(Mailbox, inbox.mailbox.id), fetched)
            threading.Event().wait(0.5)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(bring, range(4)))
    letters = inbox.letters()[1:]
    assert [letter.counted for letter in letters].count(True) == 1
    assert len({letter.repeat_of_id for letter in letters if not letter.counted}) == 1


def test_k11_a_colleagues_letter_is_unwrapped_only_where_that_is_asked_for(inbox: Arrivals, people: People) -> None:
    people.user("Carol")
    octets = raw("k11-forwarded-by-a-colleague")
    by_carol = octets.replace(b"anna@client.example", b"carol@seller.example")
    assert inbox.arrive(by_carol).sender == "carol@seller.example"
    inbox.change(unwrap_forwarded=True)
    unwrapped = inbox.arrive(by_carol + b"again")
    assert (unwrapped.sender, unwrapped.sender_name) == ("eve@buyer.example", "Eve")
    assert "forwarded" in unwrapped.flags
    assert inbox.arrive(octets).sender == "anna@client.example"
