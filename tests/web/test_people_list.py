"""The list of people: what each did with one's own mail, in the order one asks for, and nothing of a colleague's."""

from datetime import timedelta

import httpx
import pytest

from tests.web.conftest import ClientOf
from tests.web.mail_world import Seen, To, Written, write
from tests.web.reading import attribute, every, text_at, words
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.recipients.activity import WEEKS, activity_of

ANNA, BEN, CARO, DORA = (To(f"{name.lower()}@client.example", name) for name in ("Anna", "Ben", "Caro", "Dora"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def mail(context: AppContext, alice: User, bob: User) -> None:
    """Anna opened an hour ago; Ben clicked twice yesterday; Caro is to be followed up; Dora did things with Bob's mail only."""
    active = {"last_activity_at": now()}
    opens, click = Seen("open", "human", 60), Seen("click", "human", 70, link=0)
    links = (("https://a.example/", "a"), ("https://b.example/", "b"))
    twice = (opens, click, Seen("click", "human", 80, link=1))
    write(
        context,
        alice,
        Written("1", (ANNA,), (opens,), HOUR, columns=active),
        Written("2", (BEN,), twice, DAY, links=links, columns=active),
        Written("3", (CARO,), (), DAY, columns={"follow_up_at": now() + DAY}),
        Written("4", (BEN,), (opens,), 30 * DAY, columns={"last_activity_at": now() - 30 * DAY}),
        Written("5", (DORA,), (), DAY),
    )
    write(context, bob, Written("6", (DORA,), twice, HOUR, links=links, columns=active))


def names(page: httpx.Response) -> list[str]:
    return [words(name) for name in every(page, ".recipient-name")]


@pytest.mark.parametrize(
    ("order", "people"),
    [
        ("name", ["Anna", "Ben", "Caro", "Dora"]),
        ("last", ["Anna", "Ben"]),
        ("warmth", ["Ben", "Anna"]),
        ("follow_up", ["Caro"]),
        ("nonsense", ["Anna", "Ben", "Caro", "Dora"]),
    ],
)
@pytest.mark.usefixtures("mail")
def test_people_stand_in_the_order_one_asks_for(client: httpx.Client, order: str, people: list[str]) -> None:
    page = client.get(f"/recipients?order={order}")
    assert names(page) == people
    assert text_at(page, ".tabs [aria-current]") == {
        "last": "Last activity",
        "warmth": "Warmth",
        "follow_up": "Next follow-up",
    }.get(order, "By address")


@pytest.mark.usefixtures("mail")
def test_each_row_tells_what_ones_own_mail_tells(client: httpx.Client, client_of: ClientOf, bob: User) -> None:
    anna, ben, caro, dora = (words(row) for row in every(client.get("/recipients"), ".recipients li"))
    assert "hr. ago" in anna or "hr ago" in anna or "min" in anna
    assert "very interested" in ben
    assert "very interested" not in caro
    assert "interested" not in dora, "that was a colleague's mail"
    assert "very interested" in words(every(client_of(bob).get("/recipients"), ".recipients li")[3])
    assert names(client_of(bob).get("/recipients?order=last")) == ["Dora"]


@pytest.mark.usefixtures("mail")
def test_the_small_picture_has_twelve_weeks(context: AppContext, client: httpx.Client, alice: User) -> None:
    with context.database.reading() as session:
        rows = activity_of(session, alice, [1, 2, 3, 4])
    weeks = {person: list(row.weeks) for person, row in rows.items() if row.weeks}
    assert weeks[1] == [0] * (WEEKS - 1) + [1]
    assert (weeks[2][-1], weeks[2][-5], sum(weeks[2])) == (3, 1, 4)
    spark = every(client.get("/recipients"), ".spark")[1]
    assert attribute(spark, "aria-label").endswith(", ".join(map(str, weeks[2])))
    assert len(every(client.get("/recipients"), ".spark")) == 2
