"""Archive and erasure over HTTP: whose mail is in it, and who may."""

import json
from io import BytesIO
from zipfile import ZipFile

from sqlmodel import select

from tests.fixtures.contexts import context  # noqa: F401  (on both engines)
from tests.web.api.conftest import Caller, World
from tests.web.api.test_api_errors import problem
from tests.web.api.test_api_recipients import ANNA, GRANT
from tracker.models import TrackingView
from tracker.runtime.database import now


def archive(caller: Caller) -> dict[str, object]:
    answer = caller.get(f"{ANNA}/export")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/zip"
    with ZipFile(BytesIO(answer.content)) as packed:
        data: dict[str, object] = json.loads(packed.read("data.json"))
        return data


def test_the_archive_holds_ones_own_mail_alone(world: World, alice: Caller, bob: Caller) -> None:
    bob.post(f"{ANNA}/consent", GRANT)
    world.sent(bob, now(), to="anna@example.org", subject="From Bob")
    world.sent(alice, now(), to="anna@example.org", subject="From Alice")
    for caller, subject in ((bob, "From Bob"), (alice, "From Alice")):
        assert [copy["subject"] for copy in archive(caller)["copies"]] == [subject], "administrators included"  # type: ignore[attr-defined]
    with world.context.database.reading() as session:
        assert {view.what for view in session.exec(select(TrackingView))} == {"export"}
    problem(bob.get("/recipients/nobody@example.org/export"), 404)


def test_erasure_is_an_administrators_and_final(alice: Caller, bob: Caller) -> None:
    bob.post(f"{ANNA}/consent", GRANT)
    problem(bob.call("DELETE", ANNA), 403)
    done = alice.call("DELETE", ANNA)
    assert done.status_code == 200
    assert done.json()["digest"].startswith("erased:")
    assert "anna" not in done.text
    after = bob.get(ANNA).json()
    assert set(after["consent"].values()) == {"blocked"}
    assert "anna" not in after["address"]
    assert bob.get(f"{ANNA}/consent").json()["items"][0]["note"] == ""
    assert bob.get(f"{ANNA}/consent").json()["broken_at"] is None
    problem(bob.call("PUT", ANNA, {"name": "Anna"}), 409)
    problem(bob.post(f"{ANNA}/consent", GRANT), 422)
    assert alice.call("DELETE", ANNA).status_code == 200, "again"
    problem(alice.call("DELETE", "/recipients/anna"), 422)
