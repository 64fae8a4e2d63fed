"""Budgets: a flood is answered like everything else and only not written down. Trap E16."""

from ipaddress import ip_network
from pathlib import Path

import pytest

from pixel.answers import PIXEL
from pixel.limits import WINDOW, Budgets, Limits, source_of
from pixel.tokens import click_path, open_path
from tests.pixel.edge_server import running_edge

BUDGETS = Budgets(per_source=6, per_token=4)


def test_one_token_has_its_share_per_minute() -> None:
    limits = Limits(BUDGETS)
    assert [limits.allow(f"192.0.2.{i}", "t", 100.0) for i in range(6)] == [True] * 4 + [False] * 2
    assert limits.allow("192.0.2.9", "another", 100.0)
    assert limits.allow("192.0.2.9", "t", 100.0 + WINDOW)


def test_one_source_has_its_share_per_minute_whatever_the_token() -> None:
    limits = Limits(BUDGETS)
    assert [limits.allow("192.0.2.1", f"t{i}", 100.0) for i in range(8)] == [True] * 6 + [False] * 2
    assert limits.allow("192.0.2.2", "t0", 100.0)
    assert limits.allow("192.0.2.1", "t0", 100.0 + WINDOW)


def test_zero_is_no_limit() -> None:
    limits = Limits(Budgets(per_source=0, per_token=0))
    assert all(limits.allow("192.0.2.1", "t", 1.0) for _ in range(10_000))


def test_memory_stays_small_under_millions_of_sources() -> None:
    limits = Limits(BUDGETS)
    for i in range(120_000):
        limits.allow(f"source-{i}", f"token-{i}", 1.0)
    assert len(limits._sources._counts) <= 50_000
    assert len(limits._tokens._counts) <= 50_000


@pytest.mark.parametrize(
    ("client", "source"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("127.0.0.1", None),
        ("127.9.9.9", None),
        ("::1", None),
        ("", None),
        ("not an address:x", "not an address:x"),
    ],
)
def test_what_one_source_is(client: str, source: str | None) -> None:
    assert source_of(client) == source


def test_one_source_is_a_64_of_ipv6() -> None:
    assert source_of("2001:db8::1") == source_of("2001:db8::ffff:1")
    assert source_of("2001:db8::1") != source_of("2001:db8:0:1::1")


def test_e16_a_flood_gets_every_answer_and_few_hits(tmp_path: Path) -> None:
    proxy = (ip_network("127.0.0.1"),)
    with running_edge(tmp_path, budgets=BUDGETS, trusted_proxies=proxy) as edge:
        flooded, click = edge.open_token(), edge.click_token("https://example.org/")
        for _ in range(10):
            assert edge.ask(open_path(flooded), X_Forwarded_For="192.0.2.1").body == PIXEL
            assert edge.ask(click_path(click), X_Forwarded_For="192.0.2.2").location == "https://example.org/"
        assert edge.ask(open_path(edge.open_token()), X_Forwarded_For="192.0.2.3").body == PIXEL
        assert [hit.client for hit in edge.hits()] == ["192.0.2.1", "192.0.2.2"] * 4 + ["192.0.2.3"]
        assert edge.app.metrics()["hits_over_budget"] == 12
