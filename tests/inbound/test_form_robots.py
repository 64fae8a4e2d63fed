"""Web forms that write with one From for many visitors: the visitors are the writers."""

from collections.abc import Iterator

import pytest

from tests.fixtures.contexts import People
from tests.inbound.mail_world import Post, fresh_address, imap_date, letter, mailbox_on
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.mailboxes.rows import proposed_robots

ROBOT = "noreply@forms.example"


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap() as server:
        yield server


@pytest.fixture
def post(context: AppContext, people: People, server: NastyImap) -> Post:
    return mailbox_on(context, people.user(), server, fresh_address())


def fill_in(server: NastyImap, *visitors: str, robot: str = ROBOT) -> None:
    for visitor in visitors:
        server.put(letter(visitor, sender=f"Forms <{robot}>", Reply_To=visitor), date=imap_date(now()))


def proposals(post: Post) -> list[str]:
    with post.context.database.reading() as session:
        return proposed_robots(session, post.mailbox)


def test_each_visitor_of_a_listed_robot_is_an_enquiry_of_its_own(server: NastyImap, post: Post) -> None:
    post.choose(form_robots=["NoReply@Forms.example"])
    post.sync()
    fill_in(server, "oleg@klient1.example", "vera@klient2.example", "oleg@klient1.example")
    post.sync()
    assert [row.sender for row in post.letters()] == [
        "oleg@klient1.example",
        "vera@klient2.example",
        "oleg@klient1.example",
    ]
    assert [row.counted for row in post.letters()] == [True, True, False]


def test_a_robot_that_is_not_listed_is_proposed_once_it_wrote_for_three(server: NastyImap, post: Post) -> None:
    post.sync()
    fill_in(server, "a@k.example", "b@k.example")
    fill_in(server, "anna@client.example", "anna@client.example", robot="anna@client.example")
    post.sync()
    assert proposals(post) == []
    fill_in(server, "c@k.example")
    post.sync()
    assert proposals(post) == [ROBOT]
    post.choose(form_robots=[ROBOT])
    assert proposals(post) == []
