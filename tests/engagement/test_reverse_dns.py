"""Names of addresses: looked up by a task, believed only when they lead back, and then judged again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import GMAIL, Edge, bell, events, ingest_hits, message_of, settle
from tests.engagement.reverse_zone import ReverseZone, served
from tracker.engagement.rejudge import rejudge_held
from tracker.engagement.reverse_dns import ReverseDns
from tracker.engagement.reverse_names import NoNameServer, ReverseNames
from tracker.models import Delivery, HitEvidence, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

GATEWAY, GATEWAY6 = "64.235.150.9", "2620:109::9"
NAME = "outbound.ess.barracuda.com"


def look_ups_with(context: AppContext, zone: ReverseZone) -> tuple[AppContext, ReverseDns]:
    with_dns = replace(context, name_server=zone.address)
    return with_dns, ReverseDns(ReverseNames(with_dns))


@pytest.mark.parametrize("address", [GATEWAY, GATEWAY6])
def test_a_name_that_leads_back_turns_a_person_into_a_scanner(
    context: AppContext, alice: User, sent: Delivery, address: str
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=address)
    assert [e.klass for e in ingest_hits(context, edge)] == ["human"]
    settle(context)
    with served(ReverseZone({address: NAME}, {NAME: address})) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        assert look_up(with_dns) == 1
        assert look_up(with_dns) == 0
    assert [(e.klass, e.vendor) for e in events(context)] == [("security_scanner", "barracuda")]
    assert (message_of(context).clicks, [line.kind for line in bell(context, alice)]) == (0, ["corrected"])
    assert rejudge_held(context) == 0  # the name is in the sealed evidence


@pytest.mark.parametrize("forward", [{}, {NAME: "192.0.2.1"}])
def test_a_name_that_does_not_lead_back_is_not_believed(
    context: AppContext, sent: Delivery, forward: dict[str, str]
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=GATEWAY)
    ingest_hits(context, edge)
    with served(ReverseZone({GATEWAY: NAME}, forward)) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        assert look_up(with_dns) == 1
    assert [e.klass for e in events(context)] == ["human"]


def test_gmails_proxy_at_a_new_address_is_confirmed_by_its_name(context: AppContext, sent: Delivery) -> None:
    address, name = "74.125.77.9", "google-proxy-74-125-77-9.google.com"
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client=address)
    assert [e.confidence for e in ingest_hits(context, edge)] == [0.7]
    with served(ReverseZone({address: name}, {name: address})) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        look_up(with_dns)
    assert [(e.klass, e.confidence) for e in events(context)] == [("mail_proxy", 0.85)]


def test_an_address_is_asked_about_once_a_day(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    with served(ReverseZone({})) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        for number in range(3):
            edge.hit(sent, "click", link=0, client=GATEWAY, after=600 + 100 * number)
            ingest_hits(context, edge)
            assert look_up(with_dns) == 1
    assert len(zone.asked) == 1


def test_nothing_is_asked_where_a_name_could_change_nothing(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client="66.249.84.33")
    edge.hit(sent, "click", link=0, client="192.168.1.20", after=700)
    edge.hit(sent, "click", link=0, client="", after=800)
    edge.hit(sent, headers={"user-agent": "Mozilla/5.0"}, client="104.28.30.10", after=900)
    ingest_hits(context, edge)
    with served(ReverseZone({})) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        assert look_up(with_dns) == 0
    assert zone.asked == []


def test_where_nobody_answers_the_task_sleeps_and_lets_go_of_what_is_old(context: AppContext, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=GATEWAY)
    ingest_hits(context, edge)
    with served(ReverseZone({}, silent=True)) as zone:
        with_dns, look_up = look_ups_with(context, zone)
        assert look_up(with_dns) == 0
        questions = len(zone.asked)
        assert look_up(with_dns) == 0
        assert len(zone.asked) == questions, "it asks although nobody answered a moment ago"
        assert wanted(context) == 1
        with context.database.session_scope() as session:
            session.exec(update(HitEvidence).values(look_up_since=now() - timedelta(hours=2)))
        ReverseDns(ReverseNames(with_dns))(with_dns)
    assert wanted(context) == 0
    settle(context)
    assert [e.counted for e in events(context)] == [True]


def wanted(context: AppContext) -> int:
    with context.database.reading() as session:
        rows = session.exec(select(HitEvidence.event_id).where(col(HitEvidence.look_up_since).is_not(None)))
        return len(rows.all())


def test_one_broken_zone_does_not_stop_the_others(context: AppContext) -> None:
    with served(ReverseZone({GATEWAY: NAME}, {NAME: GATEWAY})) as zone:
        with_dns, _ = look_ups_with(context, zone)
        names = ReverseNames(with_dns)
        assert names.of({GATEWAY, "no address", "203.0.113.5"}) == {GATEWAY: NAME, "no address": "", "203.0.113.5": ""}
        zone.silent = True
        assert names.of({GATEWAY}) == {GATEWAY: NAME}
        with pytest.raises(NoNameServer):
            names.of({"203.0.113.6"})


def test_a_name_is_kept_in_lower_case(context: AppContext) -> None:
    with served(ReverseZone({GATEWAY: NAME.upper()}, {NAME: GATEWAY})) as zone:
        _, look_up = look_ups_with(context, zone)
        assert look_up.names.of({GATEWAY}) == {GATEWAY: NAME}
