"""The edge that most tests here talk to."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.pixel.edge_server import RunningEdge, running_edge
from tests.pixel.snippet_site import SnippetSite, snippet_site


@pytest.fixture(scope="module")
def shared_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningEdge]:
    with running_edge(tmp_path_factory.mktemp("edge")) as running:
        yield running


@pytest.fixture
def edge(shared_edge: RunningEdge) -> RunningEdge:
    """An edge with default settings, shared by the tests of a file; each sees its own hits alone."""
    return replace(shared_edge, begin=shared_edge.spool.last_id())


@pytest.fixture(scope="module")
def snippet_edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SnippetSite]:
    with snippet_site(tmp_path_factory.mktemp("edge")) as made:
        yield made


@pytest.fixture
def site(snippet_edge: SnippetSite) -> SnippetSite:
    """A website with the snippet, without anything of the tests before."""
    snippet_edge.pages, snippet_edge.headers = {}, {}
    snippet_edge.configure()
    snippet_edge.edge.begin = snippet_edge.edge.spool.last_id()
    return snippet_edge
