"""A server that idles, and a mailbox on it."""

from collections.abc import Iterator

import pytest

from tests.fixtures.contexts import People
from tests.inbound.idle.world import IDLING, read_once
from tests.inbound.mail_world import Post, fresh_address, mailbox_on
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.runtime.context import AppContext


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap(capabilities=IDLING) as server:
        yield server


@pytest.fixture
def post(context: AppContext, people: People, server: NastyImap) -> Post:
    """A mailbox that has been read, and is not due for ten minutes."""
    return read_once(mailbox_on(context, people.user(), server, fresh_address()))
