"""A website with its edge, on both engines."""

from collections.abc import Iterator

import pytest

from tests.fixtures.contexts import People
from tests.sites.website import Website, website_of
from tracker.models import User
from tracker.runtime.context import AppContext


@pytest.fixture
def alice(people: People) -> User:
    """An administrator, who may vouch for a rule."""
    return people.user(role="admin")


@pytest.fixture
def website(context: AppContext, alice: User) -> Iterator[Website]:
    with website_of(context, alice) as made:
        yield made
