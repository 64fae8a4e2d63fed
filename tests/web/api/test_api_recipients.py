"""`/recipients` and the consent ledger."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text
from sqlmodel import update

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import fields, problem
from tracker.models import Recipient, Role, User
from tracker.runtime.database import now
from tracker.runtime.keyring import token_digest

ANNA = "/recipients/anna@example.org"
GRANT = {"purpose": "opens", "state": "granted", "channel": "contract", "note": "Order form of 12 March, box ticked"}


def test_a_recipient_is_made_and_found_in_any_spelling(bob: Caller) -> None:
    made = bob.call("PUT", "/recipients/Anna@Example.org", {"name": "Anna", "jurisdiction": "fr"})
    assert made.status_code == 200
    anna = made.json()
    assert (anna["address"], anna["name"], anna["jurisdiction"], anna["never_track"]) == (
        "Anna@example.org",
        "Anna",
        "FR",
        False,
    )
    assert anna["consent"] == {"opens": "unknown", "clicks": "unknown", "documents": "unknown"}
    assert bob.get("/recipients/aNNa@EXAMPLE.org").json() == anna


def test_a_pause_is_seen_and_not_written(bob: Caller, world: World) -> None:
    assert bob.call("PUT", ANNA, {"name": "Anna"}).json()["paused_at"] is None
    with world.context.database.session_scope() as session:
        session.exec(update(Recipient).values(paused_at=datetime(2026, 11, 27, 10, tzinfo=UTC)))
    assert bob.get(ANNA).json()["paused_at"].startswith("2026-11-27T10:00:00")
    assert fields(bob.call("PUT", ANNA, {"paused_at": None}), 422) == ["paused_at"]


def test_what_is_left_out_stays(bob: Caller) -> None:
    bob.call("PUT", ANNA, {"name": "Anna", "jurisdiction": "FR", "never_track": True})
    after = bob.call("PUT", ANNA, {"name": ""}).json()
    assert (after["name"], after["jurisdiction"], after["never_track"]) == ("", "FR", True)
    assert bob.call("PUT", ANNA, {"jurisdiction": None}).json()["jurisdiction"] is None


def test_odd_but_valid_addresses(bob: Caller) -> None:
    for address in ("o'brien+a/b@example.org", "anna@münchen.example", "имя@example.org"):
        assert bob.call("PUT", f"/recipients/{address}", {"name": "x"}).status_code == 200, address
        assert bob.get(f"/recipients/{address}").json()["name"] == "x"
        assert bob.post(f"/recipients/{address}/consent", GRANT).status_code == 201
        assert len(bob.get(f"/recipients/{address}/consent").json()["items"]) == 1


def test_unknown_and_unusable_addresses(bob: Caller) -> None:
    problem(bob.get(ANNA), 404)
    problem(bob.get(f"{ANNA}/consent"), 404)
    problem(bob.get("/recipients/anna"), 404)
    assert fields(bob.call("PUT", "/recipients/anna", {})) == ["address"]
    assert fields(bob.call("PUT", "/recipients/%22a%00b%22@example.org", {})) == ["address"]
    assert fields(bob.post("/recipients/anna/consent", GRANT)) == ["address"]


def test_consent_is_not_changed_in_passing(bob: Caller) -> None:
    anna = bob.call("PUT", ANNA, {"name": "Anna"}).json()
    back = {name: anna[name] for name in ("name", "jurisdiction", "never_track", "consent")}
    assert bob.call("PUT", ANNA, back).json() == anna
    assert fields(bob.call("PUT", ANNA, {"name": "x", "consent": {"opens": "granted", "clicks": "unknown"}})) == [
        "consent"
    ]
    assert bob.get(ANNA).json() == anna


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"jurisdiction": "France"}, "jurisdiction"),
        ({"never_track": "yes"}, "never_track"),
        ({"address": "x@example.org"}, "address"),
        ({"lookup": "x"}, "lookup"),
        ({"name": "a\nb"}, "name"),
        ({"consent": "granted"}, "consent"),
    ],
)
def test_what_a_recipient_cannot_be(bob: Caller, body: dict[str, Any], field: str) -> None:
    assert fields(bob.call("PUT", ANNA, body))[0] == field
    problem(bob.get(ANNA), 404)


def test_the_list(world: World, bob: Caller) -> None:
    for name in ("Anna", "Luc", "Marina"):
        bob.call("PUT", f"/recipients/{name.lower()}@example.org", {"name": name})
    bob.post(f"{ANNA}/consent", GRANT)
    listed = world.charlie.get("/recipients").json()["items"]
    assert [item["name"] for item in listed] == ["Marina", "Luc", "Anna"]
    assert listed[2]["consent"] == {"opens": "granted", "clicks": "unknown", "documents": "unknown"}
    assert listed[2] == bob.get(ANNA).json()
    assert [item["name"] for item in bob.get("/recipients", q="LUC").json()["items"]] == ["Luc"]
    first = bob.get("/recipients", limit=2).json()
    assert [item["name"] for item in bob.get("/recipients", cursor=first["next"]).json()["items"]] == ["Anna"]


def test_a_consent_is_an_entry_with_its_proof(world: World, bob: Caller) -> None:
    given_at = (now() - timedelta(days=3)).replace(microsecond=0)
    body = {**GRANT, "at": given_at.isoformat(), "notice": "consent-2026-03"}
    response = bob.post(f"{ANNA}/consent", body)
    assert response.status_code == 201
    entry = response.json()
    assert {name: entry[name] for name in ("number", "purpose", "state", "channel", "note", "notice", "grade")} == {
        "number": 1,
        "purpose": "opens",
        "state": "granted",
        "channel": "contract",
        "note": GRANT["note"],
        "notice": "consent-2026-03",
        "grade": "C",
    }
    assert entry["at"] == given_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert entry["actor"] == f"api:{_token_id(world, bob)}"
    assert bob.get(ANNA).json()["consent"] == {"opens": "granted", "clicks": "unknown", "documents": "unknown"}


def _token_id(world: World, caller: Caller) -> str:
    with world.context.database.engine.connect() as connection:
        statement = text("SELECT public_id FROM api_token WHERE token_digest = :digest")
        return str(connection.execute(statement, {"digest": token_digest(caller.token)}).scalar_one())


def test_the_chain(world: World, bob: Caller) -> None:
    for body in (GRANT, {**GRANT, "purpose": "clicks"}, {**GRANT, "state": "withdrawn"}):
        assert bob.post(f"{ANNA}/consent", body).status_code == 201
    chain = bob.get(f"{ANNA}/consent").json()
    assert [(e["number"], e["purpose"], e["state"]) for e in chain["items"]] == [
        (1, "opens", "granted"),
        (2, "clicks", "granted"),
        (3, "opens", "withdrawn"),
    ]
    assert chain["next"] is chain["broken_at"] is None
    for before, after in zip(chain["items"], chain["items"][1:], strict=False):
        assert after["previous_digest"] == before["digest"]
    with world.context.database.engine.begin() as connection:
        connection.execute(text("UPDATE consent_entry SET note = 'never said' WHERE number = 2"))
    assert bob.get(f"{ANNA}/consent").json()["broken_at"] == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"purpose": "replies"}, "purpose"),
        ({"state": "maybe"}, "state"),
        ({"state": "unknown"}, "state"),
        ({"state": "withdrawn"}, "state"),
        ({"channel": "telepathy"}, "channel"),
        ({"channel": None}, "channel"),
        ({"note": ""}, "note"),
        ({"at": "2999-01-01T00:00:00Z"}, "at"),
        ({"at": "yesterday"}, "at"),
        ({"grade": "A"}, "grade"),
        ({"actor": "subject"}, "actor"),
    ],
)
def test_what_cannot_be_recorded(bob: Caller, change: dict[str, Any], field: str) -> None:
    assert fields(bob.post(f"{ANNA}/consent", {**GRANT, **change})) == [field]
    problem(bob.get(ANNA), 404)


def test_the_whole_evidence_by_the_api(bob: Caller) -> None:
    evidence = {
        "purpose": "clicks",
        "state": "granted",
        "channel": "web_form",
        "at": "2026-03-01T10:00:00Z",
        "notice": "order-form",
        "notice_version": "2",
        "shown": "We see which links you follow.",
        "question": "May we?",
        "control": "an unticked box",
        "source_url": "https://shop.example/order?who=anna",
        "double_opt_in": True,
        "confirmed_at": "2026-03-01T10:05:00Z",
    }
    entry = bob.post(f"{ANNA}/consent", evidence).json()
    assert (entry["grade"], entry["source_url"], entry["valid_until"]) == (
        "A",
        "https://shop.example/order",
        "2028-03-01T10:00:00Z",
    )
    assert len(entry["notice_digest"]) == 64
    wrong = bob.post(f"{ANNA}/consent", {**evidence, "source_url": "ftp://x"})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "source_url")


def test_consents_from_a_file_by_the_api(bob: Caller, alice: Caller, world: World) -> None:
    body = {"csv": "address,purpose,state\nanna@example.org,both,refused\nluc@example.org,nothing,refused\n"}
    assert bob.post("/consents/imports", body).status_code == 403
    with world.context.database.session_scope() as session:
        session.get_one(User, alice.user.id).role = Role.ADMIN
    answer = alice.post("/consents/imports", body, key="k").json()
    again = alice.post("/consents/imports", body, key="k")
    assert (again.json(), again.headers["idempotency-replayed"]) == (answer, "true")
    assert alice.post("/consents/imports", body).json()["recorded"] == 0
    assert (answer["recorded"], answer["refused"]) == (2, 1)
    assert [(row["line"], row["field"]) for row in answer["rows"]] == [(2, ""), (3, "purpose")]
    assert alice.post("/consents/imports", {"csv": "nonsense"}).status_code == 422
