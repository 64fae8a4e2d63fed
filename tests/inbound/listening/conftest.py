"""A server that idles, and a mailbox on it."""

from collections.abc import Iterator

import pytest

from tests.houses import People
from tests.inbound.listening.world import IDLING, read_once
from tests.inbound.mail_world import Post, fresh_address, mailbox_on
from tests.servers_nasty import NastyImap, nasty_imap
from tracker.runtime.context import House


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap(capabilities=IDLING) as server:
        yield server


@pytest.fixture
def post(house: House, people: People, server: NastyImap) -> Post:
    """A mailbox that has been read, and is not due for ten minutes."""
    return read_once(mailbox_on(house, people.user(), server, fresh_address()))
