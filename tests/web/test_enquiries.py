"""The enquiries page: what counts is shown once with its repeats under it, can be filtered, exported, and withdrawn."""

import csv
import io
from datetime import timedelta

import httpx
import pytest
from sqlmodel import select

from tests.web.conftest import ClientOf
from tests.web.letters_world import GALLERY, Came, make_mailbox, receive
from tests.web.reading import every, text_at, words
from tracker.inbound.mark_spam import mark_spam, unmark_spam
from tracker.models import Letter, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def subjects(client: httpx.Client, query: str = "") -> list[str]:
    return [words(element) for element in every(client.get(f"/enquiries{query}"), ".mail-subject")]


def stored(context: AppContext, letter: Letter) -> Letter:
    with context.database.reading() as session:
        return session.get_one(Letter, letter.id)


def test_enquiries_are_shown_once_newest_first_with_their_repeats_folded(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    receive(context, make_mailbox(context, alice), *GALLERY)
    page = client.get("/enquiries")
    assert [words(element) for element in every(page, ".mail-subject")] == [
        "Twelve oak chairs",
        "Прайс-лист",
        "Samples",
    ]
    assert text_at(page, ".letter-repeats summary") == "1 repeat"
    assert text_at(page, ".letter-repeats li a") == "Re: Twelve oak chairs"
    assert len(every(page, ".letter-row.unread")) == 2


def test_of_many_repeats_the_newest_are_shown_and_the_rest_is_counted(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    receive(context, box, Came("first", ago=timedelta(hours=20)))
    receive(context, box, *(Came(f"again {n}", ago=timedelta(hours=10, minutes=-n), under="first") for n in range(9)))
    page = client.get("/enquiries")
    assert text_at(page, ".letter-repeats summary") == "9 repeats"
    shown = [words(element) for element in every(page, ".letter-repeats li a")]
    assert shown == ["again 8", "again 7", "again 6", "again 5", "again 4", "and 4 more"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("?show=repeats", ["Re: Twelve oak chairs"]),
        ("?show=letters&category=bounce,auto_reply", ["Out of office: Offer 12", "Delivery Status Notification"]),
        ("?show=letters&category=bulk", ["Autumn sale"]),
        ("?sender=KEN.WATANABE@Northwind.example", ["Samples"]),
        ("?sender=@zavod.example", ["Прайс-лист"]),
        ("?sender=@ZAVOD.example&q=прайс", ["Прайс-лист"]),
        ("?sender=@zavod.exampl", []),
        ("?sender=@", []),
        ("?sender=nobody", []),
        ("?q=прайс", ["Прайс-лист"]),
        ("?q=watanabe", ["Samples"]),
        ("?q=twelve+chairs", ["Twelve oak chairs"]),
        ("?mailbox=info@shop.example&q=twelve", ["Twelve oak chairs"]),
        ("?mailbox=other@shop.example", []),
        ("?show=uncounted&q=table", ["Re: Twelve oak chairs"]),
    ],
)
def test_the_filter_narrows(
    client: httpx.Client, context: AppContext, alice: User, query: str, expected: list[str]
) -> None:
    receive(context, make_mailbox(context, alice), *GALLERY)
    assert subjects(client, query) == expected


def test_days_are_days_of_the_readers_zone(client: httpx.Client, context: AppContext, alice: User) -> None:
    receive(context, make_mailbox(context, alice), Came("today", ago=timedelta()), Came("old", ago=timedelta(days=9)))
    yesterday = f"{now() - timedelta(days=1):%Y-%m-%d}"
    assert subjects(client, f"?since={yesterday}") == ["today"]
    assert subjects(client, f"?until={yesterday}") == ["old"]


def test_a_filter_reads_as_a_sentence_and_its_chips_come_off(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    receive(context, make_mailbox(context, alice), *GALLERY)
    page = client.get("/enquiries?show=letters&category=bulk&category=bounce&q=sale")
    assert text_at(page, ".mail-sentence") == "All letters: undeliverable or newsletter and with the words “sale”."
    offs = [str(element.attrs["href"]) for element in every(page, ".chip-off")]
    assert offs == [
        "/enquiries?category=bounce&category=bulk&q=sale",
        "/enquiries?show=letters&category=bulk&q=sale",
        "/enquiries?show=letters&category=bounce&q=sale",
        "/enquiries?show=letters&category=bounce&category=bulk",
    ]


@pytest.mark.parametrize("query", ["?show=all", "?category=spam", "?since=tomorrow", "?cursor=x", f"?q={'x' * 201}"])
def test_a_value_that_cannot_be_is_named_and_everything_shown(client: httpx.Client, query: str) -> None:
    answer = client.get(f"/enquiries{query}")
    assert answer.status_code == 400
    assert text_at(answer, "[role=alert]")


def test_older_letters_are_a_page_away_and_none_is_lost(client: httpx.Client, context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    receive(context, box, *(Came(f"number {n}", f"p{n}@x.example", ago=timedelta(minutes=n)) for n in range(120)))
    rows, url = [], "/enquiries"
    while url:
        page = client.get(url)
        rows += [words(element) for element in every(page, ".mail-subject")]
        url = next((str(element.attrs["href"]) for element in every(page, "[data-more] a")), "")
    assert rows == [f"number {n}" for n in range(120)]


def test_somebody_elses_letters_are_not_there(
    client: httpx.Client, client_of: ClientOf, context: AppContext, alice: User, bob: User
) -> None:
    (mine, *_) = receive(context, make_mailbox(context, alice), *GALLERY)
    his = client_of(bob)
    assert subjects(his, "?show=letters") == []
    assert "oak" not in his.get("/enquiries/export?show=letters").text
    assert his.post(f"/letters/{mine.public_id}/withdrawal").status_code == 404
    assert stored(context, mine).withdrawn_at is None


def test_spam_is_withdrawn_and_put_back(client: httpx.Client, context: AppContext, alice: User) -> None:
    (spam, *_) = receive(context, make_mailbox(context, alice), *GALLERY)
    client.post(f"/letters/{spam.public_id}/withdrawal")
    page = client.get("/enquiries")
    assert "Withdrawn as spam" in text_at(page, "[data-flash]")
    assert "Twelve oak chairs" not in [words(element) for element in every(page, ".mail-subject")]
    assert subjects(client, "?show=withdrawn") == ["Twelve oak chairs"]
    undo = every(page, "[data-flash] form")[0].attrs["action"]
    client.post(str(undo))
    assert subjects(client)[0] == "Twelve oak chairs"


def test_the_way_back_after_a_withdrawal_is_never_to_another_site(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    (spam, *_) = receive(context, make_mailbox(context, alice), *GALLERY)
    answer = client.post(f"/letters/{spam.public_id}/withdrawal", data={"back": "https://evil.example/"})
    assert answer.headers["location"] == "/enquiries"


def test_what_was_withdrawn_comes_back_as_a_repeat_where_another_letter_counts_meanwhile(
    context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    spam, later, folded = receive(
        context,
        box,
        Came("spam?", ago=timedelta(hours=5)),
        Came("counts meanwhile", ago=timedelta(hours=2)),
        Came("folded", ago=timedelta(hours=4), under="spam?"),
    )
    with context.database.session_scope() as session:
        mark_spam(session, session.get_one(Letter, spam.id))
        unmark_spam(session, session.get_one(Letter, spam.id))
    assert (stored(context, spam).counted, stored(context, spam).repeat_of_id) == (False, later.id)
    assert stored(context, folded).repeat_of_id == later.id
    assert stored(context, later).counted


def test_exactly_a_period_apart_both_count(context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    earlier, other = receive(context, box, Came("a", ago=timedelta(hours=24)), Came("b", ago=timedelta(0)))
    with context.database.session_scope() as session:
        first, second = session.get_one(Letter, earlier.id), session.get_one(Letter, other.id)
        second.received_at = first.received_at + timedelta(days=1)
        session.add(second)
        session.flush()
        mark_spam(session, first)
        unmark_spam(session, first)
    assert stored(context, earlier).counted
    assert stored(context, other).counted


def test_the_export_has_everything_that_passes_and_no_formula(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    box = make_mailbox(context, alice)
    receive(context, box, *GALLERY, Came('=HYPERLINK("http://evil.example")', name="@SUM(A1:A9)", ago=timedelta(1)))
    answer = client.get("/enquiries/export?show=letters")
    assert answer.headers["content-type"].startswith("text/csv")
    assert "attachment" in answer.headers["content-disposition"]
    head, *rows = csv.reader(io.StringIO(answer.content.decode("utf-8-sig"), newline=""))
    assert head[:5] == ["Received", "Sender", "Sender’s name", "Recipient", "Subject"]
    assert len(rows) == 8
    evil = next(row for row in rows if "HYPERLINK" in row[4])
    assert evil[4].startswith("'=")
    assert evil[2] == "'@SUM(A1:A9)"
    assert rows[0][4:8] == ["Re: Twelve oak chairs", "info@shop.example", "From a person",
                            "a repeat within the repeat period; not counted again"]  # fmt: skip


def test_the_export_speaks_the_readers_language_and_zone(
    client_of: ClientOf, context: AppContext, make_user: object
) -> None:
    ivan = make_user("ivan@example.com", "Иван", locale="ru", timezone="Asia/Vladivostok")  # type: ignore[operator]
    (letter,) = receive(context, make_mailbox(context, ivan), Came("Столы"))
    text = client_of(ivan).get("/enquiries/export").content.decode("utf-8-sig")
    local_time = letter.received_at.astimezone(__import__("zoneinfo").ZoneInfo("Asia/Vladivostok"))
    assert text.startswith("Получено,")
    assert f"{local_time:%Y-%m-%d %H:%M:%S}" in text


def test_an_export_of_thousands_is_whole(client: httpx.Client, context: AppContext, alice: User) -> None:
    box = make_mailbox(context, alice)
    with context.database.session_scope() as session:
        session.add_all(
            Letter(user_id=alice.id or 0, mailbox_id=box.id or 0, identity=f"i{n}", subject=f"s{n}", counted=True,
                   received_at=now() - timedelta(seconds=n // 3))
            for n in range(1203)
        )  # fmt: skip
    rows = list(csv.reader(io.StringIO(client.get("/enquiries/export").content.decode("utf-8-sig"), newline="")))
    assert sorted(row[4] for row in rows[1:]) == sorted(f"s{n}" for n in range(1203))


def test_without_a_mailbox_the_page_says_what_to_do(client: httpx.Client, context: AppContext, alice: User) -> None:
    assert "Connect a mailbox first" in text_at(client.get("/enquiries"), ".empty h2")
    make_mailbox(context, alice)
    assert text_at(client.get("/enquiries"), ".empty h2") == "No enquiry yet"
    with context.database.reading() as session:
        assert session.exec(select(Letter)).first() is None
