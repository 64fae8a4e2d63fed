"""The list of people: what each did with one's own mail, in the order one asks for, and nothing of a colleague's."""

from datetime import timedelta

import httpx
import pytest

from tests.web.conftest import ClientOf
from tests.web.mail_world import Seen, To, Written, write
from tests.web.reading import attribute, every, text_at, words
from tracker.crm.customers import CustomerChange, create_customer
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.recipients.activity import WEEKS, activity_of, in_order

ANNA, BEN, CARO, DORA = (To(f"{name.lower()}@client.example", name) for name in ("Anna", "Ben", "Caro", "Dora"))
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def mail(context: AppContext, alice: User, bob: User) -> None:
    """Anna opened an hour ago; Ben clicked twice yesterday; Caro is to be followed up; Dora did things with Bob's mail only, and
    Alice is to follow her up now."""
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
        Written("7", (DORA,), (), DAY, columns={"follow_up_due_at": now() - HOUR}),
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
        ("follow_up", ["Dora", "Caro"]),
        ("nonsense", ["Anna", "Ben", "Caro", "Dora"]),
    ],
)
@pytest.mark.usefixtures("mail")
def test_people_stand_in_the_order_one_asks_for(client: httpx.Client, order: str, people: list[str]) -> None:
    page = client.get(f"/recipients?order={order}")
    assert names(page) == people
    assert text_at(page, ".people [aria-sort] a") == {
        "last": "Last activity",
        "warmth": "Warmth",
        "follow_up": "Next follow-up",
    }.get(order, "Name")


@pytest.mark.usefixtures("mail")
def test_each_row_tells_what_ones_own_mail_tells(client: httpx.Client, client_of: ClientOf, bob: User) -> None:
    anna, ben, caro, dora = (words(row) for row in every(client.get("/recipients"), ".people tbody tr"))
    assert "hr. ago" in anna or "hr ago" in anna or "min" in anna
    assert "very interested" in ben
    assert "very interested" not in caro
    assert "interested" not in dora, "that was a colleague's mail"
    assert "very interested" in words(every(client_of(bob).get("/recipients"), ".people tbody tr")[3])
    assert names(client_of(bob).get("/recipients?order=last")) == ["Dora"]


@pytest.mark.usefixtures("mail")
def test_people_are_sorted_and_chosen_by_their_owner(
    context: AppContext, client: httpx.Client, alice: User, bob: User
) -> None:
    with context.database.session_scope() as session:
        for address, manager in (("anna", bob), ("ben", alice), ("caro", bob)):
            facts = CustomerChange(addresses=[f"{address}@client.example"], manager=manager.public_id)
            create_customer(session, facts, alice)
    page = client.get("/recipients?order=owner")
    assert names(page) == ["Ben", "Anna", "Caro"]
    assert [words(cell) for cell in every(page, ".people-owner")] == ["Alice", "Bob", "Bob"]
    for order, people in (
        ("name", ["Anna", "Caro"]),
        ("owner", ["Anna", "Caro"]),
        ("last", ["Anna"]),
        ("follow_up", ["Caro"]),
    ):
        assert names(client.get(f"/recipients?order={order}&owner={bob.public_id}")) == people
    assert "Nobody found" in text_at(client.get(f"/recipients?owner={bob.public_id}&q=ben"), ".empty")


@pytest.mark.parametrize("order", ["name", "last", "warmth", "follow_up", "owner"])
def test_every_order_goes_on_without_gap_or_repeat(
    context: AppContext, client: httpx.Client, alice: User, order: str
) -> None:
    people = [To(f"p{n:03}@client.example", f"P {n:03}") for n in range(65)]
    opened, at = (Seen("open", "human", 1),), now()
    columns = [{"last_activity_at": at, "follow_up_due_at": at - n // 4 * HOUR} for n in range(65)]
    write(
        context, alice, *(Written("x", (to,), opened, n // 4 * HOUR, columns=columns[n]) for n, to in enumerate(people))
    )
    with context.database.session_scope() as session:
        for to in people:
            create_customer(session, CustomerChange(addresses=[to.address], manager=alice.public_id), alice)
    if order in ("last", "warmth", "follow_up"):
        with context.database.reading() as session:
            assert in_order(session, alice, order) == in_order(session, alice, order), (
                "places are the same a moment later"
            )
    seen, path = [], f"/recipients?order={order}"
    while path:
        page = client.get(path)
        seen += names(page)
        further = every(page, ".recipients-more a")
        path = attribute(further[0], "href") if further else ""
    assert sorted(seen) == [to.name for to in people]
    assert client.get(f"/recipients?order={order}&after=nonsense").status_code == 200


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
