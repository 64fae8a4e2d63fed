"""Of every hit it is asked again whether it may be kept: by what operator, workspace, account and person say now."""

import dataclasses
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from sqlmodel import select, update

from tests.engagement.edge_by_hand import Edge, ingest_hits
from tracker.consent.preferences import change_rule, set_policy
from tracker.consent.rules import Pack
from tracker.models import Account, ConsentEntry, Delivery, HitEvidence, Recipient
from tracker.runtime.context import AppContext


def _ceiling(context: AppContext) -> AppContext:
    return dataclasses.replace(
        context, settings=dataclasses.replace(context.settings, tracking_ceiling=frozenset({"clicks"}))
    )


def _role(context: AppContext) -> AppContext:
    with context.database.session_scope() as session:
        change_rule(session, "role_rules", {"member": ["clicks"]})
    return context


def _account(context: AppContext) -> AppContext:
    with context.database.session_scope() as session:
        session.exec(update(Account).values(measure_opens=False))
    return context


def _never_track(context: AppContext) -> AppContext:
    with context.database.session_scope() as session:
        session.exec(update(Recipient).values(never_track=True))
    return context


def _off(context: AppContext) -> AppContext:
    with context.database.session_scope() as session:
        set_policy(session, Pack.OFF, "")
    return context


def _weak(context: AppContext) -> AppContext:
    """What was accepted when it was sent is accepted no more (a grade cannot change otherwise)."""
    with context.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(grade="E"))
    return context


def _lapsed(context: AppContext) -> AppContext:
    with context.database.session_scope() as session:
        session.exec(update(ConsentEntry).values(valid_until=datetime(2026, 1, 1, tzinfo=UTC)))
    return context


@pytest.mark.parametrize("say_no", [_ceiling, _role, _account, _never_track, _off, _weak, _lapsed])
def test_what_is_forbidden_since_leaves_no_trace(
    context: AppContext, sent: Delivery, say_no: Callable[[AppContext], AppContext]
) -> None:
    edge = Edge()
    edge.hit(sent)
    context = say_no(context)
    assert ingest_hits(context, edge) == []
    with context.database.reading() as session:
        assert session.exec(select(HitEvidence)).all() == []


@pytest.mark.parametrize("say_no", [_ceiling, _role, _account])
def test_the_other_purpose_goes_on(
    context: AppContext, sent: Delivery, say_no: Callable[[AppContext], AppContext]
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0)
    assert [event.kind for event in ingest_hits(say_no(context), edge)] == ["click"]
