"""The mail list over HTTP, without scripts: rows, icons, filter, chips, pages, and nobody else's mail."""

from datetime import timedelta

import httpx
import pytest

from tests.web.conftest import ClientOf, MakeUser
from tests.web.mail_world import ANNA, GALLERY, KEN, LUC, OFFER, Seen, To, Written, make_account, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.models import MessageState, User
from tracker.runtime.context import AppContext

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>'


def rows(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [words(row) for row in every(answer, ".mail-subject")]


def test_without_an_account_the_list_says_what_to_do_first(client: httpx.Client) -> None:
    page = client.get("/mail")
    assert "Connect your e-mail first" in text_at(page, ".empty")
    assert attribute(only(page, ".empty a"), "href") == "/connect"


def test_with_an_account_it_invites_to_write(context: AppContext, client: httpx.Client, alice: User) -> None:
    make_account(context, alice)
    assert attribute(only(client.get("/mail"), ".empty a"), "href") == "/compose"


def test_the_newest_comes_first_and_nobody_elses(
    context: AppContext, client: httpx.Client, alice: User, bob: User
) -> None:
    write(
        context,
        alice,
        Written("older", (ANNA,), ago=timedelta(hours=2)),
        Written("newer", (ANNA,), ago=timedelta(hours=1)),
    )
    write(context, bob, Written("of Bob", (ANNA,)))
    assert rows(client.get("/mail")) == ["newer", "older"]


def shapes(answer: httpx.Response) -> list[tuple[str, str]]:
    return [
        (attribute(mark, "class").removeprefix("mark "), attribute(mark, "aria-label"))
        for mark in every(answer, ".mail-icons > *")
    ]


@pytest.mark.parametrize(
    ("written", "eye", "link"),
    [
        (Written("x", (ANNA,)), ("hollow", "Not opened yet"), ("hollow", "No click yet")),
        (
            Written(
                "x",
                (ANNA,),
                (Seen("open", "human", 9), Seen("open", "human", 99), Seen("click", "human", 99, link=0)),
                links=OFFER,
            ),
            ("solid", "Opened 2 times"),
            ("solid", "1 · One click"),
        ),
        (
            Written("x", (LUC,)),
            ("crossed", "Opening is not tracked: was never asked"),
            ("crossed", "Links are not tracked: was never asked"),
        ),
        (
            Written("x", (ANNA,), (Seen("open", "privacy_prefetch", 9),)),
            ("crossed", "Whether it was opened cannot be known: Apple Mail loads every picture by itself"),
            ("hollow", "No click yet"),
        ),
        (
            Written("x", (ANNA,), (Seen("open", "security_scanner", 9),)),
            ("machine", "Only machines so far: a check by mail protection"),
            ("hollow", "No click yet"),
        ),
        (
            Written(
                "x",
                (ANNA,),
                (
                    Seen("click", "security_scanner", 9, vendor="barracuda", link=0),
                    Seen("click", "security_scanner", 10, vendor="barracuda", link=1),
                    Seen("click", "link_preview", 50, link=0),
                    Seen("click", "sender_self", 60, link=0),
                ),
                links=OFFER,
            ),
            ("hollow", "Not opened yet"),
            ("machine", "Only machines so far: a preview in a chat, a check by Barracuda"),
        ),
        (Written("x", (), state=MessageState.DRAFT), ("none", ""), ("none", "")),
    ],
    ids=["nothing yet", "happened", "untracked", "apple", "scanner", "scanned links", "draft"],
)
def test_the_two_icons(
    context: AppContext,
    client: httpx.Client,
    alice: User,
    written: Written,
    eye: tuple[str, str],
    link: tuple[str, str],
) -> None:
    write(context, alice, written)
    assert shapes(client.get("/mail")) == [eye, link]


def test_an_icon_tells_who_when_through_what_and_machines_apart(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    (offer,) = write(context, alice, GALLERY[0])
    opens = client.get(f"/mail/{offer.public_id}/activity/opens")
    anna, luc = every(opens, ".activity > ul:first-of-type > li")
    assert "Anna Petit" in anna.text
    assert "2 times" in anna.text
    assert "Gmail, Apple Mail" in anna.text
    assert "was never asked" in luc.text
    machines = text_at(opens, ".activity-machines")
    assert "Checked by Microsoft mail protection" in machines
    assert "43 s after sending" in machines


def test_what_an_icon_tells_is_for_its_owner(context: AppContext, alice: User, client_of: ClientOf, bob: User) -> None:
    (offer,) = write(context, alice, GALLERY[0])
    assert client_of(bob).get(f"/mail/{offer.public_id}/activity/opens").status_code == 404
    assert client_of(alice).get(f"/mail/{offer.public_id}/activity/nonsense").status_code == 404


def test_a_filter_is_a_sentence_and_chips_that_come_off_one_by_one(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, *GALLERY)
    page = client.get("/mail?state=opened&state=no_reply&recipient=anna.petit@atelier-petit.example&q=order")
    assert text_at(page, ".mail-sentence") == (
        "Mail: opened, without a reply, to anna.petit@atelier-petit.example and with the words “order”."
    )
    chips = every(page, ".chip")
    assert [words(chip) for chip in chips] == [
        "Opened",
        "No reply",
        "To: anna.petit@atelier-petit.example",
        "“order”",
    ]
    without_opened = attribute(only(chips[0], "a"), "href")
    left = client.get(without_opened)
    assert [words(chip) for chip in every(left, ".chip")] == [
        "No reply",
        "To: anna.petit@atelier-petit.example",
        "“order”",
    ]


def test_a_filter_that_cannot_be_understood_is_said_and_shows_everything(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, GALLERY[0])
    answer = client.get("/mail?since=tomorrow")
    assert answer.status_code == 400
    assert "“since” is not a day" in text_at(answer, ".notice.bad")
    assert len(every(answer, ".mail-row")) == 1


def test_nothing_that_fits_offers_the_way_back(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(context, alice, GALLERY[0])
    assert attribute(only(client.get("/mail?q=nowhere"), ".empty a"), "href") == "/mail"


def test_pages_follow_one_another_and_keep_the_filter(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(context, alice, *(Written(f"number {n}", (ANNA,), ago=timedelta(minutes=n)) for n in range(60)))
    write(context, alice, Written("something else", (ANNA,), ago=timedelta(days=1)))
    first = client.get("/mail?q=number")
    further = attribute(only(first, "[data-more] a"), "href")
    second = client.get(further)
    assert rows(first) + rows(second) == [f"number {n}" for n in range(60)]
    assert not every(second, "[data-more]")
    piece = client.get(f"{further}&part=more")
    assert "<html" not in piece.text
    assert rows(piece) == rows(second)


def test_figures_are_rates_over_what_could_be_measured(context: AppContext, client: httpx.Client, alice: User) -> None:
    write(
        context,
        alice,
        Written("opened", (ANNA,), (Seen("open", "human", 9),)),
        Written("not opened", (ANNA,)),
        Written("untracked", (LUC,)),
        Written("apple", (KEN,), (Seen("open", "privacy_prefetch", 9),)),
        Written("long ago", (ANNA,), ago=timedelta(days=31)),
        Written("draft", (), state=MessageState.DRAFT),
    )
    figures = client.get("/mail?part=figures")
    assert [words(element) for element in every(figures, "dd")] == [
        "4",
        "1 / 2",
        "0 / 3",
        "0 / 4",
    ]


def test_every_figure_leads_to_what_it_counts_and_few_messages_have_no_percentage(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    write(context, alice, *(Written(f"n {n}", (ANNA,), (Seen("open", "human", 9),) * (n % 2)) for n in range(20)))
    write(context, alice, Written("long ago", (ANNA,), (Seen("open", "human", 9),), ago=timedelta(days=32)))
    figures = client.get("/mail?part=figures")
    assert [words(element) for element in every(figures, "dd")] == [
        "20",
        "10 / 20 · 50 %",
        "0 / 20 · 0 %",
        "0 / 20 · 0 %",
    ]
    for number in every(figures, "dd a"):
        assert len(rows(client.get(attribute(number, "href")))) == int(words(number))


def test_hostile_words_are_words(context: AppContext, client: httpx.Client, alice: User) -> None:
    to = To("eve@example.org", HOSTILE)
    (message,) = write(
        context, alice, Written(HOSTILE, (to,), (Seen("open", "human", 9, client=HOSTILE),), snippet=HOSTILE)
    )
    for path in ("/mail", f"/mail/{message.public_id}/activity/opens", f"/mail?q={HOSTILE}"):
        answer = client.get(path)
        assert "alert(1)" in answer.text
        assert not [script for script in every(answer, "script") if "src" not in script.attrs]
        assert not every(answer, "img")


def test_a_million_is_not_needed_to_see_that_a_far_page_costs_what_the_first_costs(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    """A place far down is found by comparing, not by counting through: no OFFSET anywhere."""
    write(context, alice, Written("deep", (ANNA,), ago=timedelta(days=3000)))
    assert rows(client.get("/mail?cursor=1500000000000000.1")) == []


def test_russian_reads_russian(context: AppContext, make_user: MakeUser, client_of: ClientOf) -> None:
    olga = make_user("olga@example.com", "Ольга", locale="ru")
    write(context, olga, GALLERY[0])
    page = client_of(olga).get("/mail?state=opened")
    assert text_at(page, "h1") == "Почта"
    assert text_at(page, ".mail-sentence") == "Письма: открытые."
