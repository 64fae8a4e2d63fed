"""The edge that most tests here talk to."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.pixel.edge_server import RunningEdge, running_edge


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture
def edge(shared_edge: RunningEdge) -> RunningEdge:
    """An edge with default settings, shared by the tests of a file; each sees its own hits alone."""
    return replace(shared_edge, begin=shared_edge.spool.last_id())
