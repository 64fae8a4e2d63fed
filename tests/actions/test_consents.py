"""A consent is recorded, refused and erased alike by page and API, and by the command line where it can."""

from collections.abc import Callable

import httpx
import pytest

from tests.actions.conftest import Person, Workspace, refusal
from tracker.models import ConsentEntry, Recipient

ADDRESS = "ivan@example.org"
AGREED = {"purpose": "opens", "state": "granted", "channel": "contract", "note": "Clause 7 of her contract"}
Record = Callable[[Person, Recipient, dict[str, str]], httpx.Response]


def by_page(person: Person, recipient: Recipient, event: dict[str, str]) -> httpx.Response:
    return person.browser.post(f"/recipients/{recipient.public_id}/consent", data=event)


def by_api(person: Person, recipient: Recipient, event: dict[str, str]) -> httpx.Response:
    return person.api("POST", f"/recipients/{recipient.address}/consent", event)


RECORDS = pytest.mark.parametrize("record", [by_page, by_api])


@RECORDS
def test_a_consent_is_one_entry_with_its_proof(workspace: Workspace, bob: Person, record: Record) -> None:
    ivan = workspace.recipient(ADDRESS)
    assert record(bob, ivan, AGREED).status_code in (201, 303)
    (entry,) = workspace.rows(ConsentEntry)
    stored = (entry.recipient_id, entry.purpose, entry.state, entry.channel, entry.grade, entry.note)
    assert stored == (ivan.id, "opens", "granted", "contract", "C", AGREED["note"])
    assert entry.actor.partition(":")[0] == ("user" if record is by_page else "api")


@RECORDS
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("purpose", "replies"),
        ("state", "maybe"),
        ("state", "withdrawn"),
        ("channel", "telepathy"),
        ("note", ""),
        ("at", "2999-01-01T00:00:00Z"),
        ("at", "yesterday"),
    ],
)
def test_what_cannot_be_recorded(workspace: Workspace, bob: Person, record: Record, field: str, value: str) -> None:
    ivan = workspace.recipient(ADDRESS)
    assert refusal(record(bob, ivan, {**AGREED, field: value})) == ("invalid", [field])
    assert workspace.rows(ConsentEntry) == []


def erase_by_page(workspace: Workspace, person: Person, recipient: Recipient) -> None:
    answer = person.browser.post(f"/recipients/{recipient.public_id}/erasure", data={"address": recipient.address})
    assert answer.status_code == 303


def erase_by_api(workspace: Workspace, person: Person, recipient: Recipient) -> None:
    assert person.api("DELETE", f"/recipients/{recipient.address}").status_code == 200


def erase_by_command(workspace: Workspace, person: Person, recipient: Recipient) -> None:
    assert workspace.inkling.in_process("recipient", "erase", recipient.address).code == 0


@pytest.mark.parametrize("erase", [erase_by_page, erase_by_api, erase_by_command])
def test_somebody_erased_is_nobody(
    workspace: Workspace, alice: Person, erase: Callable[[Workspace, Person, Recipient], None]
) -> None:
    ivan = workspace.recipient(ADDRESS, "Ivan")
    by_page(alice, ivan, AGREED)
    erase(workspace, alice, ivan)
    stored = workspace.read(ivan)
    assert (stored.name, stored.erased_at is None, "ivan" in stored.address) == ("", False, False)
    assert {entry.note for entry in workspace.rows(ConsentEntry)} == {""}


def test_erasing_is_for_administrators(workspace: Workspace, alice: Person, bob: Person) -> None:
    ivan = workspace.recipient(ADDRESS, "Ivan")
    page = bob.browser.post(f"/recipients/{ivan.public_id}/erasure", data={"address": ADDRESS})
    assert refusal(page)[0] == refusal(bob.api("DELETE", f"/recipients/{ADDRESS}"))[0] == "forbidden"
    assert workspace.read(ivan) == ivan
