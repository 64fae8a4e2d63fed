"""Of every hit it is asked again whether it may be kept: by what operator, workspace, account and person say now."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlmodel import select, update

from tests.engagement.edge_by_hand import Edge, take_in
from tracker.consent.preferences import change_rule, set_policy
from tracker.consent.rules import Pack
from tracker.models import Account, ConsentEntry, Delivery, HitEvidence, Recipient
from tracker.runtime.context import House


def _ceiling(house: House) -> House:
    return dataclasses.replace(
        house, settings=dataclasses.replace(house.settings, tracking_ceiling=frozenset({"clicks"}))
    )


def _role(house: House) -> House:
    with house.database.session_scope() as session:
        change_rule(session, "role_rules", {"member": ["clicks"]})
    return house


def _account(house: House) -> House:
    with house.database.session_scope() as session:
        session.exec(update(Account).values(measure_opens=False))
    return house


def _never_track(house: House) -> House:
    with house.database.session_scope() as session:
        session.exec(update(Recipient).values(never_track=True))
    return house


def _off(house: House) -> House:
    with house.database.session_scope() as session:
        set_policy(session, Pack.OFF, "")
    return house


def _weak(house: House) -> House:
    """What was accepted when it was sent is accepted no more (a grade cannot change otherwise)."""
    with house.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(grade="E"))
    return house


def _lapsed(house: House) -> House:
    with house.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(valid_until=datetime(2026, 1, 1, tzinfo=UTC)))
    return house


@pytest.mark.parametrize("say_no", [_ceiling, _role, _account, _never_track, _off, _weak, _lapsed])
def test_what_is_forbidden_since_leaves_no_trace(
    house: House, sent: Delivery, say_no: Callable[[House], House]
) -> None:
    edge = Edge()
    edge.hit(sent)
    house = say_no(house)
    assert take_in(house, edge) == []
    with house.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []


@pytest.mark.parametrize("say_no", [_ceiling, _role, _account])
def test_the_other_purpose_goes_on(house: House, sent: Delivery, say_no: Callable[[House], House]) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0)
    assert [event.kind for event in take_in(say_no(house), edge)] == ["click"]
