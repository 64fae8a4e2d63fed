"""`Idempotency-Key`: once, with the same answer, also when two come at the same time."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlmodel import select

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import fields, problem
from tracker.models import IdempotencyKey
from tracker.runtime.database import now

LETTER = {"to": [{"address": "luc@example.org"}], "subject": "Offer", "text": "Hello"}


@pytest.fixture(autouse=True)
def _account(world: World) -> None:
    world.account(world.bob, "bob@example.com")
    world.account(world.charlie, "charlie@example.com")


def messages(caller: Caller) -> int:
    return len(caller.get("/messages").json()["items"])


def test_a_repeat_gets_the_first_answer(bob: Caller) -> None:
    first, second = bob.post("/messages", LETTER, key="k1"), bob.post("/messages", LETTER, key="k1")
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.content == second.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert messages(bob) == 1


def test_without_a_key_each_is_new(bob: Caller) -> None:
    assert bob.post("/messages", LETTER).json()["id"] != bob.post("/messages", LETTER).json()["id"]
    assert messages(bob) == 2


def test_another_request_under_the_same_key(bob: Caller) -> None:
    bob.post("/messages", LETTER, key="k1")
    assert fields(bob.post("/messages", {**LETTER, "subject": "Other"}, key="k1")) == ["Idempotency-Key"]
    assert fields(bob.post("/notifications/readings", key="k1")) == ["Idempotency-Key"]
    assert messages(bob) == 1


def test_keys_are_one_s_own(world: World) -> None:
    bobs, charlies = world.bob.post("/messages", LETTER, key="k1"), world.charlie.post("/messages", LETTER, key="k1")
    assert bobs.json()["id"] != charlies.json()["id"]


def test_an_error_is_not_kept(bob: Caller) -> None:
    problem(bob.post("/messages", {**LETTER, "in_reply_to": "nothing"}, key="k1"), 422)
    assert bob.post("/messages", LETTER, key="k1").status_code == 202


def test_twins_at_the_same_time(bob: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: bob.post("/messages", LETTER, key="k1"), range(8)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert messages(bob) == 1


def test_keys_are_forgotten_after_a_day(world: World, bob: Caller) -> None:
    bob.post("/messages", LETTER, key="k1")
    with world.context.database.session_scope() as session:
        session.exec(select(IdempotencyKey)).one().created_at = now() - timedelta(hours=24, seconds=1)
    assert bob.post("/messages", {**LETTER, "subject": "Other"}, key="k1").json()["subject"] == "Other"
    with world.context.database.reading() as session:
        assert len(session.exec(select(IdempotencyKey)).all()) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_unusable_keys(bob: Caller, key: str) -> None:
    response = bob.call("POST", "/messages", LETTER, headers={"Idempotency-Key": key})
    assert fields(response) == ["Idempotency-Key"]
    assert messages(bob) == 0


def test_every_post_honours_it(world: World, bob: Caller) -> None:
    grant = {"purpose": "opens", "state": "granted", "channel": "contract", "note": "signed on paper"}
    account = {"address": "b@example.com", "smtp": {"host": "smtp.example.com", "secret": "pass-word"}}
    for path, body in (
        ("/accounts", account),
        ("/recipients/anna@example.org/consent", grant),
        ("/notifications/readings", None),
    ):
        first, second = bob.post(path, body, key=path), bob.post(path, body, key=path)
        assert first.is_success, path
        assert first.content == second.content
    assert len(bob.get("/accounts").json()["items"]) == 2
    assert len(bob.get("/recipients/anna@example.org/consent").json()["items"]) == 1


def test_what_is_kept_holds_no_secret(world: World, bob: Caller) -> None:
    bob.post(
        "/accounts", {"address": "b@example.com", "smtp": {"host": "smtp.example.com", "secret": "pass-word"}}, key="k"
    )
    with world.context.database.reading() as session:
        row = session.exec(select(IdempotencyKey)).one()
    assert "pass-word" not in row.model_dump_json()
