"""A server that answers as it likes, and a mailbox on it."""

from collections.abc import Iterator

import pytest

from tests.fixtures.contexts import People
from tests.inbound.mail_world import Post, fresh_address, mailbox_on
from tests.servers.nasty import NastyImap, nasty_imap
from tracker.runtime.context import AppContext


@pytest.fixture
def server() -> Iterator[NastyImap]:
    with nasty_imap() as server:
        yield server


@pytest.fixture
def post(context: AppContext, people: People, server: NastyImap) -> Post:
    return mailbox_on(context, people.user(), server, fresh_address())
