"""A small shop on each engine."""

import pytest

from tests.crm.shop_world import ShopWorld
from tests.fixtures.contexts import People
from tracker.runtime.context import AppContext


@pytest.fixture
def shop(context: AppContext, people: People) -> ShopWorld:
    return ShopWorld(context, people)
