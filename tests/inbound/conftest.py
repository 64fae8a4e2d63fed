"""A mailbox without a server, and one on Dovecot."""

import pytest

from tests.fixtures.contexts import People
from tests.inbound.arrivals import alice, inbox  # noqa: F401  (fixtures)
from tests.inbound.mail_world import SECRET, Post, fresh_address, mailbox_on
from tests.servers import Dovecot
from tracker.runtime.context import AppContext


@pytest.fixture
def post(context: AppContext, people: People, dovecot: Dovecot) -> Post:
    """Connected and never read; files that need another make their own."""
    address = fresh_address()
    dovecot.add_user(address, SECRET)
    return mailbox_on(context, people.user(), dovecot, address)
