"""An edge that was cut off for a week: what comes now goes before what waits, in lots of one size, each hit once."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import col, delete, func, select, update

from pixel.hits import Hit
from pixel.spool import spool_paths
from pixel.tokens import Tokens, new_public_id, open_path
from tests.engagement.edge_by_hand import Edge, send_to
from tests.fixtures.contexts import People
from tests.fixtures.counts import counted
from tests.pixel.edge_server import DRAIN_KEY, KEY, edge_process
from tests.servers.processes import wait_until
from tracker.engagement import ingest, settling
from tracker.engagement.edge_sources import RemoteEdge
from tracker.engagement.ingest import drain, drain_backlog
from tracker.engagement.settling import settle_due
from tracker.models import Delivery, DrainBacklog, DrainCursor, Event, User
from tracker.models.counting.counters import lock_messages
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.lease import Leases

LOT = 10


@dataclass
class CutOffEdge(Edge):
    """Remembers how much was read at once."""

    most: int = 0

    def after(self, n: int, limit: int, confirmed: int) -> Sequence[Hit]:
        hits = super().after(n, limit, confirmed)
        self.most = max(self.most, len(hits))
        return hits


@pytest.fixture
def edge(monkeypatch: pytest.MonkeyPatch, sent: Delivery) -> CutOffEdge:
    """Fifty hits wait."""
    for name, number in (("BATCH", LOT), ("BEHIND", 2 * LOT), ("PART", 15)):
        monkeypatch.setattr(ingest, name, number)
    made = CutOffEdge()
    for number in range(50):
        made.hit(sent, after=100.0 + 20 * number)
    return made


def _numbers(context: AppContext) -> list[int]:
    """Of the hits that were taken in, in that order."""
    with context.database.reading() as session:
        return list(session.exec(select(Event.hit).where(col(Event.hit).is_not(None)).order_by(col(Event.id))))  # type: ignore[arg-type]


def _waiting_parts(context: AppContext) -> list[tuple[int, int]]:
    with context.database.reading() as session:
        rows = session.exec(select(DrainBacklog).order_by(col(DrainBacklog.after)))
        return [(row.after, row.until) for row in rows]


def _all(context: AppContext, edge: Edge) -> None:
    while drain(context, edge) + drain_backlog(context, edge, LOT):
        pass


def test_fresh_hits_go_before_a_backlog_and_nothing_is_confirmed_before_it_is_taken_in(
    context: AppContext, sent: Delivery, edge: CutOffEdge
) -> None:
    assert drain(context, edge)
    assert (_numbers(context), edge.confirmed) == ([], 0)
    assert _waiting_parts(context) == [(0, 15), (15, 30), (30, 45), (45, 50)]
    for number in range(3):
        edge.hit(sent, after=5000.0 + number)
    assert drain(context, edge) == 3
    assert (_numbers(context), edge.confirmed) == ([51, 52, 53], 0)
    assert drain_backlog(context, edge, LOT)
    assert _numbers(context)[3:] == list(range(1, 11)), "the oldest of the backlog first"
    assert edge.confirmed == 10
    edge.hit(sent, after=6000.0)
    assert drain(context, edge) == 1
    assert _numbers(context)[-1] == 54
    assert edge.confirmed == 10
    _all(context, edge)
    assert sorted(_numbers(context)) == list(range(1, 55)), "each once"
    assert (edge.confirmed, edge.most, _waiting_parts(context)) == (54, LOT, [])


def test_a_few_hits_more_than_a_lot_are_no_backlog(context: AppContext, edge: CutOffEdge) -> None:
    del edge.hits[2 * LOT :]
    _all(context, edge)
    assert _numbers(context) == list(range(1, 2 * LOT + 1))


def test_workers_share_a_backlog_and_what_a_dead_one_held_goes_on(context: AppContext, edge: CutOffEdge) -> None:
    drain(context, edge)
    other = Leases("other-worker")
    with context.database.session_scope() as session:
        first = session.exec(select(func.min(DrainBacklog.id))).one()
        assert other.claim(session, ingest.LEASE, first)
    while drain_backlog(context, edge, LOT):
        pass
    assert sorted(_numbers(context)) == list(range(16, 51))
    assert edge.confirmed == 0, "what the other one has in hand is not taken in yet"
    other.release_all(context.database)  # as whoever notices its death does
    _all(context, edge)
    assert sorted(_numbers(context)) == list(range(1, 51))
    assert edge.confirmed == 50


@pytest.mark.parametrize("moment", ["process_hits", "_without_known", "_confirm"])
def test_a_crash_at_any_moment_loses_and_doubles_nothing(
    context: AppContext, edge: CutOffEdge, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    drain(context, edge)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt  # not an error of a hit: the process ends here

    with monkeypatch.context() as patch:
        patch.setattr(ingest, moment, die)
        with pytest.raises(KeyboardInterrupt):
            drain_backlog(context, edge, LOT)
    assert len(_numbers(context)) == (LOT if moment == "_confirm" else 0)
    context.leases.release_all(context.database)
    _all(context, edge)
    assert sorted(_numbers(context)) == list(range(1, 51))
    assert (edge.confirmed, _waiting_parts(context)) == (50, [])


def test_who_was_away_while_another_one_went_on_moves_nothing(context: AppContext, edge: CutOffEdge) -> None:
    drain(context, edge)
    lane = ingest._claim(context, "local")
    assert lane is not None
    context.leases.release_all(context.database)
    _all(context, edge)
    before = _numbers(context)
    ingest._take_in(context, lane, edge.hits[:LOT])
    assert _numbers(context) == before


def test_a_restored_cursor_doubles_nothing(context: AppContext, edge: CutOffEdge) -> None:
    _all(context, edge)
    with context.database.session_scope() as session:
        session.exec(delete(DrainCursor))
    edge.confirmed = 0
    _all(context, edge)
    assert sorted(_numbers(context)) == list(range(1, 51))


def test_the_bell_of_what_was_just_done_does_not_wait_for_last_week(
    context: AppContext, edge: CutOffEdge, sent: Delivery, monkeypatch: pytest.MonkeyPatch
) -> None:
    _all(context, edge)
    edge.hit(sent, after=9000.0)
    _all(context, edge)
    monkeypatch.setattr(settling, "BATCH", 1)
    moment = now()
    with context.database.session_scope() as session:
        for event in session.exec(select(Event)):
            event.settle_at = moment - timedelta(seconds=100 - (event.hit or 0))
    assert settle_due(context) == 1
    with context.database.reading() as session:
        (settled,) = session.exec(select(Event).where(col(Event.settle_at).is_(None))).all()
    assert settled.hit == 51


def test_a_remote_edge_of_several_workers_is_read_whole(tmp_path: Path) -> None:
    tokens = Tokens([KEY])
    with edge_process(tmp_path, {"INKLING_DRAIN_KEY": DRAIN_KEY}, timeout=20, workers=2) as asked:
        wait_until(lambda: len(spool_paths(tmp_path)) == 2)
        remote, sent, read = RemoteEdge(f"http://127.0.0.1:{asked.port}", DRAIN_KEY), [], list[str]()
        cursors: dict[str, int] = {}
        for _ in range(3):
            for _ in range(8):
                sent.append(tokens.open(new_public_id()))
                assert asked.ask(open_path(sent[-1])).status == 200
            while len(read) < len(sent):
                for spool in remote.spools():
                    after = cursors.get(spool.name, 0)
                    hits = spool.after(after, 5, after)
                    read += [hit.token for hit in hits]
                    cursors[spool.name] = hits[-1].id or 0 if hits else after
        assert sorted(read) == sorted(sent)
        assert list(cursors) == [remote.name, f"{remote.name}#2"]


def test_workers_wait_for_no_message_that_another_has_in_hand(
    context: AppContext, people: People, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    if context.database.is_sqlite:
        pytest.skip("an SQLite file has one writer at a time")
    held, free = send_to(context, people, alice, "anna@client.example", "boris@client.example")
    edge = Edge()
    for number in range(6):
        edge.hit(held if number % 2 else free, after=600.0 + 60 * number)

    def die_where_one_has_to_wait(*values: Any, wait: bool) -> Sequence[Hit]:
        if wait:
            raise KeyboardInterrupt
        return process_free(*values, wait=wait)

    process_free = ingest._process_free
    with context.database.session_scope() as other, monkeypatch.context() as patch:
        lock_messages(other, {held.message_id})
        patch.setattr(ingest, "_process_free", die_where_one_has_to_wait)
        with pytest.raises(KeyboardInterrupt):
            drain(context, edge)
        assert _numbers(context) == [1, 3, 5]
        assert (ingest._place_in(context, "local"), edge.confirmed) == ((0, 0), 0)
    _all(context, edge)
    assert _numbers(context) == [1, 3, 5, 2, 4, 6], "each once"
    assert edge.confirmed == 6
    with context.database.session_scope() as session:
        session.exec(update(Event).values(settle_at=now()))
    with context.database.session_scope() as other:
        lock_messages(other, {held.message_id})
        assert settle_due(context) == 3
    assert settle_due(context) == 3


def test_a_batch_asks_few_statements_however_many_hits_it_has(context: AppContext, people: People, alice: User) -> None:
    copies = send_to(context, people, alice, "anna@client.example", "boris@client.example", "clara@client.example")
    edge, asked = Edge(), []
    for hits in (3, 3, 60):
        for number in range(hits):
            edge.hit(copies[number % 3], "click" if number % 2 else "open", after=4000.0 * (len(edge.hits) + 1), link=0)
        with counted(context) as counts:
            drain(context, edge)
        asked.append((counts["statements"], counts["writing"]))
    assert asked[1:] == [asked[1]] * 2
    assert max(statements for statements, _ in asked) <= 26
    assert {writing for _, writing in asked} == {1}


@pytest.mark.parametrize(
    ("hours", "handed_over", "seconds_after", "judged_again"),
    [
        (-48, -72, None, False),
        (-48, -72, 2, True),  # what was taken in since may say something of it
        (-48, -72, -36_000, True),  # and so may what came from another edge and was earlier
        (-48, -72, 36_000, False),
        (-1, -72, None, True),  # the windows around it were not over when it was judged
        (-48, -1, None, True),  # our note of the server's 250 may have come after it
        (-48, None, None, True),
    ],
)
def test_what_was_judged_long_after_its_time_settles_without_being_judged_again(
    context: AppContext,
    sent: Delivery,
    hours: int,
    handed_over: int | None,
    seconds_after: int | None,
    *,
    judged_again: bool,
) -> None:
    def hand_over(at: datetime | None) -> None:
        with context.database.session_scope() as session:
            session.exec(update(Delivery).values(accepted_at=at))

    edge, moment = Edge(), now()
    hand_over(moment - timedelta(hours=72))
    hit = edge.hit(sent)
    edge.hits[0] = replace(hit, received_at=moment + timedelta(hours=hours))
    assert drain(context, edge)
    if seconds_after is not None:
        other = edge.hit(sent, client="198.51.100.77")
        edge.hits[-1] = replace(other, received_at=moment + timedelta(hours=hours, seconds=seconds_after))
        assert drain(context, edge)
    hand_over(None if handed_over is None else moment + timedelta(hours=handed_over))
    with context.database.session_scope() as session:  # something that judging again takes back
        session.exec(update(Event).where(col(Event.hit) == 1).values(klass="unknown", settle_at=moment))
    assert settle_due(context) == (1 if seconds_after is None else 2)
    with context.database.reading() as session:
        klass = session.exec(select(Event.klass).where(Event.hit == 1)).one()
    assert (klass != "unknown") is judged_again
