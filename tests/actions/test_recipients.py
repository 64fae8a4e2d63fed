"""What is done to a recipient ends alike by page and API."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.actions.conftest import Person, Workspace, refusal
from tests.web.reading import every, words
from tracker.models import Recipient
from tracker.privacy.erase import erase

ADDRESS = "ivan@example.org"
Change = Callable[[Person, Recipient, dict[str, Any]], httpx.Response]


def by_page(person: Person, recipient: Recipient, changes: dict[str, Any]) -> httpx.Response:
    form = {name: value for name, value in changes.items() if name != "never_track"}
    if changes.get("never_track"):
        form["never_track"] = "on"
    return person.browser.post(f"/recipients/{recipient.public_id}", data=form)


def by_api(person: Person, recipient: Recipient, changes: dict[str, Any]) -> httpx.Response:
    return person.api("PUT", f"/recipients/{ADDRESS}", changes)


CHANGES = pytest.mark.parametrize("change", [by_page, by_api])


@CHANGES
def test_nothing_is_noted_about_somebody_erased(workspace: Workspace, bob: Person, change: Change) -> None:
    ivan = workspace.recipient(ADDRESS, "Ivan")
    erase(workspace.context, ADDRESS, "test")
    before = workspace.read(ivan)
    assert refusal(change(bob, ivan, {"name": "Ivan again"})) == ("conflict", [])
    assert workspace.read(ivan) == before
    assert before.name == ""


@CHANGES
def test_what_is_changed_is_stored_alike(workspace: Workspace, bob: Person, change: Change) -> None:
    ivan = workspace.recipient(ADDRESS, "Ivan")
    assert change(bob, ivan, {"name": " Иван ", "jurisdiction": "fr", "never_track": True}).status_code in (200, 303)
    stored = workspace.read(ivan)
    assert (stored.name, stored.jurisdiction, stored.never_track) == ("Иван", "FR", True)


@CHANGES
@pytest.mark.parametrize(
    "wrong",
    [
        {"jurisdiction": "France"},
        {"jurisdiction": "F"},
        {"jurisdiction": "ÉÉ"},
        {"name": "x" * 201},
        {"name": "two\nlines"},
        {"name": "nul\0"},
    ],
)
def test_what_a_recipient_cannot_be(workspace: Workspace, bob: Person, change: Change, wrong: dict[str, str]) -> None:
    ivan = workspace.recipient(ADDRESS, "Ivan")
    answer = change(bob, ivan, {"name": "Ivan", **wrong})
    nul_in_a_form = change is by_page and "\0" in wrong.get("name", "")
    assert answer.status_code == 303 or refusal(answer) == ("invalid", [] if nul_in_a_form else list(wrong))
    assert workspace.read(ivan) == ivan


def shown_by_page(person: Person, text: str) -> list[str]:
    answer = person.browser.get("/recipients", params={"q": text})
    return [words(name) for name in every(answer, ".recipient-name")]


def shown_by_api(person: Person, text: str) -> list[str]:
    items = person.program.get("/api/v1/recipients", params={"q": text}).json()["items"]
    return sorted(item["name"] for item in items)


@pytest.mark.parametrize("shown", [shown_by_page, shown_by_api])
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("иван", ["Иван Петров"]),
        ("ПЕТРОВ", ["Иван Петров"]),
        ("петров иван", ["Иван Петров"]),
        ("IVAN", ["Иван Петров"]),
        ("%", []),
        ("nul\0", []),
        ("example.org", ["Luc", "Иван Петров"]),
    ],
)
def test_a_search_shows_the_same_people(
    workspace: Workspace, bob: Person, shown: Callable[[Person, str], list[str]], text: str, names: list[str]
) -> None:
    workspace.recipient(ADDRESS, "Иван Петров")
    workspace.recipient("luc@example.org", "Luc")
    assert sorted(shown(bob, text)) == names


def test_whom_nobody_knows_is_not_there(workspace: Workspace, bob: Person) -> None:
    for who in ("nobody@example.org", "no-such-id", "%22a%00b%22@example.org"):
        assert refusal(bob.browser.get(f"/recipients/{who}"))[0] == "not_found"
        assert refusal(bob.api("GET", f"/recipients/{who}"))[0] == "not_found"


def test_a_recipient_is_added_once_however_the_address_is_spelled(workspace: Workspace, bob: Person) -> None:
    bob.browser.post("/recipients", data={"address": "Ivan <IVAN@Example.org>"})
    assert bob.api("PUT", f"/recipients/{ADDRESS}", {}).json()["name"] == "Ivan"
    assert len(workspace.rows(Recipient)) == 1
