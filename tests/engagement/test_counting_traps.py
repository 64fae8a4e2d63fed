"""Counting people, not machines: the traps that other trackers fell into, each on a real database."""

import threading

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import (
    APPLE,
    CHROME,
    GMAIL,
    PAGE,
    Edge,
    bell,
    events,
    ingest_hits,
    message_of,
    send_to,
    settle,
)
from tests.fixtures.contexts import People
from tracker.engagement.ingest import drain
from tracker.models import Delivery, HitEvidence, Message, User, Verdict
from tracker.runtime.context import AppContext

YAHOO = {"user-agent": "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"}
STRIPPED_WEBKIT = {
    "user-agent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)"
}
CUBOT = {
    "user-agent": "Mozilla/5.0 (Linux; Android 13; CUBOT P80) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/155.0.0.0 Mobile Safari/537.36",
    "accept": "image/avif,image/webp,*/*",
    "accept-language": "es-ES",
}
FIREFOX_LINUX = PAGE | {"user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:147.0) Gecko/20100101 Firefox/147.0"}
BARE = {"user-agent": FIREFOX_LINUX["user-agent"], "accept": "*/*"}
GOOGLE, YAHOO_NET, DEFENDER, EXCHANGE = "66.249.84.33", "98.136.10.1", "40.107.3.4", "40.96.0.9"
# windows are 100 times shorter in these contexts
MINUTE = 0.6


@pytest.mark.parametrize(("headers", "client"), [(GMAIL, GOOGLE), (YAHOO, YAHOO_NET)], ids=["G1 Gmail", "G2 Yahoo"])
def test_an_image_proxy_fetches_because_somebody_opened(
    context: AppContext, alice: User, sent: Delivery, headers: dict[str, str], client: str
) -> None:
    edge = Edge()
    edge.hit(sent, headers=headers, client=client)
    ingest_hits(context, edge)
    settle(context)
    assert (message_of(context).opens, len(bell(context, alice))) == (1, 1)


def test_g3_a_proxy_seconds_after_sending_is_grey(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client=GOOGLE, after=0.1)
    ingest_hits(context, edge)
    settle(context)
    assert (message_of(context).opens, message_of(context).machine, bell(context, alice)) == (0, 1, [])


@pytest.mark.parametrize("after", [1.0, 1440.0])
def test_g4_apples_prefetch_never_counts_and_real_apple_mail_always(
    context: AppContext, sent: Delivery, after: float
) -> None:
    edge = Edge()
    edge.hit(sent, headers=APPLE, client="104.28.30.10", after=after)
    edge.hit(sent, headers=STRIPPED_WEBKIT, after=after + 1)
    assert [e.counted for e in ingest_hits(context, edge)] == [False, True]


def test_g5_microsofts_network_may_open_but_not_click(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=CHROME, client=EXCHANGE)
    edge.hit(sent, "click", link=0, client=EXCHANGE, after=700)
    assert [(e.klass, e.counted) for e in ingest_hits(context, edge)] == [
        ("mail_proxy", True),
        ("security_scanner", False),
    ]


@pytest.mark.parametrize("after", [0.1, 0.43, 40], ids=["at delivery", "the median", "long after"])
def test_g6_g7_many_links_at_once_are_a_machine_whenever_it_comes(
    context: AppContext, alice: User, sent: Delivery, after: float
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, after=after)
    ingest_hits(context, edge)
    settle(context)
    for link in range(1, 5):
        edge.hit(sent, "click", link=link, after=after + 0.001 * link)
    assert {e.klass for e in ingest_hits(context, edge)} == {"security_scanner"}
    assert (message_of(context).clicks, message_of(context).opens, message_of(context).first_opened_at) == (0, 0, None)
    settle(context)
    assert {line.kind for line in bell(context, alice)} <= {"corrected"}


def test_g8_with_one_link_the_request_itself_must_tell(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=DEFENDER)
    edge.hit(sent, "click", link=0, client="203.0.113.9", method="HEAD", after=700)
    edge.hit(sent, "click", link=0, client="203.0.113.77", headers={}, after=800)
    assert {(e.klass, e.counted) for e in ingest_hits(context, edge)} == {("security_scanner", False)}


def test_g9_a_quick_person_is_kept_and_shown_if_not_believed(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, after=0.04)
    (event,) = ingest_hits(context, edge)
    assert event.reasons
    assert message_of(context).opens + message_of(context).machine == 1


def test_g10_the_echo_of_a_click_from_another_network_is_the_scanner(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0)
    edge.hit(sent, "click", link=0, headers=BARE, client="203.0.113.50", after=600.12)
    assert [e.klass for e in ingest_hits(context, edge)] == ["human", "security_scanner"]
    with context.database.reading() as session:
        assert message_of(context).clicks == 1
        (echo,) = session.exec(select(Verdict).where(col(Verdict.klass) == "security_scanner"))
    assert echo.version == 1


def test_g11_no_agent_on_the_pixel_is_no_verdict(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers={})
    assert [e.klass for e in ingest_hits(context, edge)] == ["unknown"]


def test_g12_a_phone_called_cubot_is_a_person(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=CUBOT)
    assert [(e.klass, e.counted) for e in ingest_hits(context, edge)] == [("human", True)]


def test_g13_head_then_get_of_one_source_is_no_click(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, method="HEAD")
    edge.hit(sent, "click", link=0, after=600.02)
    ingest_hits(context, edge)
    assert message_of(context).clicks == 0


def test_g17_the_verdict_is_on_the_event_and_the_hit_can_be_judged_again(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    (event,) = ingest_hits(context, edge)
    with context.database.reading() as session:
        assert session.get(HitEvidence, event.id) is not None
        (verdict,) = session.exec(select(Verdict).where(Verdict.event_id == event.id)).all()
    assert (verdict.klass, verdict.version, verdict.reasons) == (event.klass, 1, event.reasons)
    assert "ranges 20" in verdict.rule_set


def test_g18_a_person_after_a_machine_makes_it_opened(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=APPLE, client="104.28.30.10", after=1)
    ingest_hits(context, edge)
    assert message_of(context).opens == 0
    edge.hit(sent, "click", link=0, after=4000)
    ingest_hits(context, edge)
    assert (message_of(context).opens, message_of(context).clicks) == (1, 1)


def test_c12_a_click_without_an_open_is_one_open_inferred_and_no_event_is_made_up(
    context: AppContext, sent: Delivery
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0)
    ingest_hits(context, edge)
    settle(context)
    message = message_of(context)
    assert (message.opens, message.clicks) == (1, 1)
    assert [event.kind for event in events(context)] == ["click"], "nobody made up an event"


@pytest.mark.parametrize(
    ("headers", "client"),
    [(APPLE, "104.28.30.10"), (CHROME, "209.222.82.7"), ({"user-agent": "Slackbot-LinkExpanding 1.0"}, "3.3.3.3")],
)
def test_g19_what_is_automatic_never_rings(
    context: AppContext, alice: User, sent: Delivery, headers: dict[str, str], client: str
) -> None:
    edge = Edge()
    for number in range(5):
        edge.hit(sent, headers=headers, client=client, after=100 + 100 * number)
    ingest_hits(context, edge)
    settle(context)
    assert bell(context, alice) == []


def test_g22_colleagues_behind_one_address_are_several_people(context: AppContext, people: People, alice: User) -> None:
    first, second = send_to(context, people, alice, "anna@client.example", "luc@client.example")
    edge = Edge()
    edge.hit(first)
    edge.hit(second, after=600.01)
    assert [e.counted for e in ingest_hits(context, edge)] == [True, True]


def test_g23_hits_without_an_address_are_not_one_person(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client="")
    edge.hit(sent, "click", link=0, client="", after=600.05)
    assert [(e.klass, e.merged) for e in ingest_hits(context, edge)] == [("human", False)] * 2


def drain_together(context: AppContext, edges: list[Edge], threads: int = 10) -> None:
    """All edges at once, each by one of several workers."""
    waiting, problems = list(edges), []

    def work() -> None:
        try:
            while waiting:
                edge = waiting.pop()
                while drain(context, edge):
                    pass
        except IndexError:
            return
        except Exception as problem:
            problems.append(problem)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems == []


def test_g24_fifty_simultaneous_opens_are_one_first_open(context: AppContext, alice: User, sent: Delivery) -> None:
    edges = [Edge(name=f"https://edge{number}.example") for number in range(50)]
    for edge in edges:
        edge.hit(sent)
    drain_together(context, edges)
    opens = events(context)
    assert (len(opens), sum(e.counted for e in opens), message_of(context).opens) == (50, 1, 1)
    assert message_of(context).first_opened_at == opens[0].at
    settle(context)
    assert len(bell(context, alice)) == 1


def test_g25_counters_lose_nothing_when_workers_count_at_once(context: AppContext, sent: Delivery) -> None:
    edges = [Edge(name=f"https://edge{number}.example") for number in range(20)]
    for number, edge in enumerate(edges):
        edge.hit(sent, after=600 + 60 * number)
        edge.hit(sent, "click", link=number % 2, after=630 + 60 * number)
    drain_together(context, edges)
    message = message_of(context)
    assert (message.opens, message.clicks) == (20, 20)
    with context.database.reading() as session:
        delivery = session.get_one(Delivery, sent.id)
    assert (delivery.opens, delivery.clicks) == (20, 20)


def test_g29_a_hit_before_our_note_of_the_handover_is_kept_and_judged_when_it_is_there(
    context: AppContext, alice: User, sent: Delivery
) -> None:
    accepted_at = sent.accepted_at
    with context.database.session_scope() as session:
        session.exec(update(Delivery).values(accepted_at=None, status="queued"))
        session.exec(update(Message).values(sent_at=None, state="queued"))
    edge = Edge()
    edge.hit(sent)
    (event,) = ingest_hits(context, edge)
    assert not event.counted
    with context.database.session_scope() as session:
        session.exec(update(Delivery).values(accepted_at=accepted_at, status="accepted"))
    settle(context)
    assert [(e.klass, e.counted) for e in events(context)] == [("human", True)]
    assert len(bell(context, alice)) == 1


def test_g30_a_hit_of_a_deleted_message_is_passed_over(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent)
    with context.database.session_scope() as session:
        session.delete(session.get_one(Message, sent.message_id))
    assert ingest_hits(context, edge) == []
    assert edge.confirmed == 1


def test_g35_ten_readings_in_a_row_ring_less_than_ten_times(context: AppContext, alice: User, sent: Delivery) -> None:
    edge = Edge()
    for number in range(10):
        edge.hit(sent, after=600 + 10 * number)
        ingest_hits(context, edge)
        settle(context)
    assert len(bell(context, alice)) == 1
    assert message_of(context).opens == 10


def test_a_hit_that_comes_late_from_another_edge_finds_its_place(context: AppContext, sent: Delivery) -> None:
    late, early = Edge(name="https://late.example"), Edge()
    early.hit(sent, "click", link=0, after=600)
    ingest_hits(context, early)
    late.hit(sent, "click", link=1, after=599.995)
    ingest_hits(context, late)
    assert {e.klass for e in events(context)} == {"security_scanner"}


def test_a_verdict_that_was_changed_names_the_hit_that_showed_it(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0)
    ingest_hits(context, edge)
    edge.hit(sent, "click", link=1, after=600.005)
    first, second = ingest_hits(context, edge)
    with context.database.reading() as session:
        verdicts = session.exec(
            select(Verdict).where(Verdict.event_id == first.id).order_by(col(Verdict.version))
        ).all()
    assert [(v.version, v.klass, v.trigger) for v in verdicts] == [
        (1, "human", None),
        (2, "security_scanner", second.public_id),
    ]


def test_a_flood_on_one_copy_is_judged_by_its_newest_hits(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    for number in range(1200):
        edge.hit(sent, after=600 + number * 0.5, headers=CHROME)
    ingest_hits(context, edge)
    edge.hit(sent, after=2000, headers=CHROME)
    ingest_hits(context, edge)
    assert message_of(context).opens == 1201
