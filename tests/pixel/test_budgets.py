"""Budgets: a flood is answered like everything else and only not written down. Trap E16."""

import os
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path

import pytest

from pixel.answers import PIXEL
from pixel.limits import DAY, MINUTE, Budgets, Limits, source_of
from pixel.spool import SpoolReader
from pixel.tokens import click_path, open_path
from tests.pixel.edge_server import DRAIN_KEY, running_edge

BUDGETS = Budgets(per_source=6, per_token=4, per_copy=8)


def test_one_token_has_its_share_per_minute() -> None:
    limits = Limits(BUDGETS)
    assert [limits.allow(f"192.0.2.{i}", "t", "c", 100.0) for i in range(6)] == [True] * 4 + [False] * 2
    assert limits.allow("192.0.2.9", "another", "d", 100.0)
    assert limits.allow("192.0.2.9", "t", "c", 100.0 + MINUTE)


def test_one_source_has_its_share_per_minute_whatever_the_token() -> None:
    limits = Limits(BUDGETS)
    assert [limits.allow("192.0.2.1", f"t{i}", f"c{i}", 100.0) for i in range(8)] == [True] * 6 + [False] * 2
    assert limits.allow("192.0.2.2", "t0", "c0", 100.0)
    assert limits.allow("192.0.2.1", "t0", "c0", 100.0 + MINUTE)


def test_one_copy_has_its_share_per_day_whatever_pixel_or_link() -> None:
    limits = Limits(BUDGETS)
    hits = [limits.allow("192.0.2.1", f"t{i % 3}", "c", 100.0 + i * MINUTE) for i in range(10)]
    assert hits == [True] * 8 + [False] * 2
    assert limits.allow("192.0.2.1", "t0", "d", 100.0 + 11 * MINUTE)
    assert limits.allow("192.0.2.1", "t0", "c", 100.0 + DAY)


@pytest.mark.parametrize(
    ("token", "copy"),
    [(lambda i: "eve", lambda i: "e"), (lambda i: f"eve{i}", lambda i: "e"), (lambda i: f"eve{i % 2}", lambda i: "e")],
    ids=["one pixel", "every link of a copy", "two links"],
)
def test_what_a_token_or_copy_may_not_costs_whoever_shares_its_address_nothing(
    token: Callable[[int], str], copy: Callable[[int], str]
) -> None:
    limits = Limits(Budgets(per_source=10, per_token=4, per_copy=8))
    assert sum(limits.allow("198.51.100.7", token(i), copy(i), 100.0) for i in range(3100)) <= 8
    assert limits.allow("198.51.100.7", "anna", "a", 100.0)


def test_what_a_source_may_not_costs_the_token_nothing() -> None:
    limits = Limits(BUDGETS)
    for i in range(6):
        limits.allow("192.0.2.1", f"t{i}", f"c{i}", 100.0)
    assert not any(limits.allow("192.0.2.1", "anna", "a", 100.0) for _ in range(20))
    assert [limits.allow("192.0.2.2", "anna", "a", 100.0) for _ in range(5)] == [True] * 4 + [False]


def test_zero_is_no_limit() -> None:
    limits = Limits(Budgets(per_source=0, per_token=0, per_copy=0))
    assert all(limits.allow("192.0.2.1", "t", "c", 1.0) for _ in range(10_000))


def test_memory_stays_small_under_millions_of_sources() -> None:
    limits = Limits(BUDGETS)
    for i in range(120_000):
        limits.allow(f"source-{i}", f"token-{i}", f"copy-{i}", 1.0)
    for window in (limits._sources, limits._tokens, limits._copies):
        assert window._counts.nbytes <= 512 * 1024
    assert limits.allow("192.0.2.1", "anna", "a", 1.0), "and nobody pays for it"


def test_processes_that_were_forked_share_one_budget() -> None:
    limits = Limits(BUDGETS)
    for _ in range(2):
        child = os.fork()
        if not child:
            os._exit(sum(limits.allow("", "t", "c", 100.0) for _ in range(2)))
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 2
    assert not limits.allow("", "t", "c", 100.0)


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


def test_a_holder_of_one_token_silences_nobody_behind_the_same_address(tmp_path: Path) -> None:
    with running_edge(tmp_path, budgets=BUDGETS, trusted_proxies=(ip_network("127.0.0.1"),)) as edge:
        eve, anna = edge.open_token(), edge.open_token()
        for token in [eve] * 20 + [anna]:
            assert edge.ask(open_path(token), X_Forwarded_For="198.51.100.7").body == PIXEL
        assert [hit.token for hit in edge.hits()] == [eve] * 4 + [anna]


def test_what_was_over_budget_is_counted_where_others_can_read_it_and_over_a_restart(tmp_path: Path) -> None:
    for times in (1, 2):
        with running_edge(tmp_path, budgets=BUDGETS, drain_key=DRAIN_KEY) as edge:
            token = edge.open_token()
            for _ in range(7):
                edge.ask(open_path(token))
            assert edge.ask("/metrics").status == 404
            assert edge.ask("/metrics", Authorization="Bearer wrong").status == 404
            said = edge.ask("/metrics", Authorization=f"Bearer {DRAIN_KEY}").body.decode()
            assert f"inkling_hits_over_budget {times * 3}\n" in said
            assert f"inkling_hits_written {times * 4}\n" in said
            assert b'"over_budget": 3' in edge.ask("/healthz").body
        with SpoolReader(tmp_path / "spool.sqlite3") as reader:
            assert reader.counts() == {
                "hits_lost": 0,
                "hits_over_budget": times * 3,
                "hits_rescued": 0,
                "hits_written": times * 4,
            }
