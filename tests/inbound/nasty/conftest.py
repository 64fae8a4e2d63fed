"""A server that answers as it likes, and a mailbox on it."""

from collections.abc import Iterator

import pytest

from tests.houses import People
from tests.inbound.mail_world import Post, fresh_address, mailbox_on
from tests.servers_nasty import NastyImap, nasty_imap
from tracker.runtime.context import House


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap() as server:
        yield server


@pytest.fixture
def post(house: House, people: People, server: NastyImap) -> Post:
    return mailbox_on(house, people.user(), server, fresh_address())
