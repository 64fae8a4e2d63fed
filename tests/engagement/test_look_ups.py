"""Names of addresses: looked up by a task, believed only when they lead back, and then judged again."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.engagement.edge_by_hand import GMAIL, Edge, bell, events, message_of, settle, take_in
from tests.engagement.reverse_zone import ReverseZone, served
from tracker.engagement.look_ups import LookUps
from tracker.engagement.reevaluate import reevaluate
from tracker.engagement.reverse_names import NoNameServer, ReverseNames
from tracker.models import Delivery, HitEvidence, User
from tracker.runtime.context import House
from tracker.runtime.database import now

GATEWAY, GATEWAY6 = "64.235.150.9", "2620:109::9"
NAME = "outbound.ess.barracuda.com"


def look_ups_with(house: House, zone: ReverseZone) -> tuple[House, LookUps]:
    asking = replace(house, name_server=zone.address)
    return asking, LookUps(ReverseNames(asking))


@pytest.mark.parametrize("address", [GATEWAY, GATEWAY6])
def test_a_name_that_leads_back_turns_a_person_into_a_scanner(
    house: House, alice: User, sent: Delivery, address: str
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=address)
    assert [e.klass for e in take_in(house, edge)] == ["human"]
    settle(house)
    with served(ReverseZone({address: NAME}, {NAME: address})) as zone:
        asking, look_up = look_ups_with(house, zone)
        assert look_up(asking) == 1
        assert look_up(asking) == 0
    assert [(e.klass, e.vendor) for e in events(house)] == [("security_scanner", "barracuda")]
    assert (message_of(house).clicks, [line.kind for line in bell(house, alice)]) == (0, ["corrected"])
    assert reevaluate(house) == 0  # the name is in the sealed evidence


@pytest.mark.parametrize("forward", [{}, {NAME: "192.0.2.1"}])
def test_a_name_that_does_not_lead_back_is_not_believed(house: House, sent: Delivery, forward: dict[str, str]) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=GATEWAY)
    take_in(house, edge)
    with served(ReverseZone({GATEWAY: NAME}, forward)) as zone:
        asking, look_up = look_ups_with(house, zone)
        assert look_up(asking) == 1
    assert [e.klass for e in events(house)] == ["human"]


def test_gmails_proxy_at_a_new_address_is_confirmed_by_its_name(house: House, sent: Delivery) -> None:
    address, name = "74.125.77.9", "google-proxy-74-125-77-9.google.com"
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client=address)
    assert [e.confidence for e in take_in(house, edge)] == [0.7]
    with served(ReverseZone({address: name}, {name: address})) as zone:
        asking, look_up = look_ups_with(house, zone)
        look_up(asking)
    assert [(e.klass, e.confidence) for e in events(house)] == [("mail_proxy", 0.85)]


def test_an_address_is_asked_about_once_a_day(house: House, sent: Delivery) -> None:
    edge = Edge()
    with served(ReverseZone({})) as zone:
        asking, look_up = look_ups_with(house, zone)
        for number in range(3):
            edge.hit(sent, "click", link=0, client=GATEWAY, after=600 + 100 * number)
            take_in(house, edge)
            assert look_up(asking) == 1
    assert len(zone.asked) == 1


def test_nothing_is_asked_where_a_name_could_change_nothing(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, headers=GMAIL, client="66.249.84.33")
    edge.hit(sent, "click", link=0, client="192.168.1.20", after=700)
    edge.hit(sent, "click", link=0, client="", after=800)
    edge.hit(sent, headers={"user-agent": "Mozilla/5.0"}, client="104.28.30.10", after=900)
    take_in(house, edge)
    with served(ReverseZone({})) as zone:
        asking, look_up = look_ups_with(house, zone)
        assert look_up(asking) == 0
    assert zone.asked == []


def test_where_nobody_answers_the_task_sleeps_and_lets_go_of_what_is_old(house: House, sent: Delivery) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, client=GATEWAY)
    take_in(house, edge)
    with served(ReverseZone({}, silent=True)) as zone:
        asking, look_up = look_ups_with(house, zone)
        assert look_up(asking) == 0
        questions = len(zone.asked)
        assert look_up(asking) == 0
        assert len(zone.asked) == questions, "it asks although nobody answered a moment ago"
        assert wanted(house) == 1
        with house.database.session_scope() as session:
            session.exec(update(HitEvidence).values(look_up_since=now() - timedelta(hours=2)))
        LookUps(ReverseNames(asking))(asking)
    assert wanted(house) == 0
    settle(house)
    assert [e.counted for e in events(house)] == [True]


def wanted(house: House) -> int:
    with house.database.reading() as session:
        rows = session.exec(select(HitEvidence.event_id).where(col(HitEvidence.look_up_since).is_not(None)))
        return len(rows.all())


def test_one_broken_zone_does_not_stop_the_others(house: House) -> None:
    with served(ReverseZone({GATEWAY: NAME}, {NAME: GATEWAY})) as zone:
        asking, _ = look_ups_with(house, zone)
        names = ReverseNames(asking)
        assert names.of({GATEWAY, "no address", "203.0.113.5"}) == {GATEWAY: NAME, "no address": "", "203.0.113.5": ""}
        zone.silent = True
        assert names.of({GATEWAY}) == {GATEWAY: NAME}
        with pytest.raises(NoNameServer):
            names.of({"203.0.113.6"})


def test_a_name_is_kept_in_lower_case(house: House) -> None:
    with served(ReverseZone({GATEWAY: NAME.upper()}, {NAME: GATEWAY})) as zone:
        _, look_up = look_ups_with(house, zone)
        assert look_up.names.of({GATEWAY}) == {GATEWAY: NAME}
