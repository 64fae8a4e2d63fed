"""Recipients over HTTP: the list, one person's consent and ledger, what is recorded, and whose mail is shown."""

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf
from tests.web.mail_world import ANNA, Written, agree, write
from tests.web.reading import attribute, every, only, text_at, words
from tracker.consent.rules import ConsentState, Purpose
from tracker.models import ConsentEntry, Recipient, User
from tracker.privacy.erase import erase
from tracker.runtime.context import AppContext

AGREED = {
    "purpose": "both",
    "state": "granted",
    "channel": "reply_text",
    "note": "“Of course”, her mail of 3 March",
}
HOSTILE = '"><script>alert(1)</script>'


def person(context: AppContext, address: str = "anna@example.org") -> Recipient:
    with context.database.reading() as session:
        return session.exec(select(Recipient).where(Recipient.lookup == address)).one()


def entries(context: AppContext) -> list[ConsentEntry]:
    with context.database.reading() as session:
        return list(session.exec(select(ConsentEntry).order_by(col(ConsentEntry.number))))


@pytest.fixture
def anna(context: AppContext) -> Recipient:
    """Anna, who agreed to opens and clicks by a written reply."""
    agree(context, "anna@example.org", name="Anna Petit")
    return person(context)


def test_nobody_yet_says_what_to_do(client: httpx.Client) -> None:
    assert "Nobody yet" in text_at(client.get("/recipients"), ".empty")


def test_the_list_shows_consent_and_finds_by_name_or_address(
    context: AppContext, client: httpx.Client, anna: Recipient
) -> None:
    agree(context, "luc@example.org", ConsentState.REFUSED, (Purpose.OPENS,), "Люк Моро")
    page = client.get("/recipients")
    badges = [words(element) for element in every(page, ".recipient-badges")]
    assert badges == ["Opens and clicks: agreed", "Opens: refusedClicks: never asked"]
    for q, wanted in (
        ("petit", ["Anna Petit"]),
        ("МОРО", ["Люк Моро"]),
        ("@example", ["Anna Petit", "Люк Моро"]),
        ("%", []),
    ):
        answer = client.get("/recipients", params={"q": q})
        assert [words(element) for element in every(answer, ".recipient-name")] == wanted


def test_the_list_goes_on(context: AppContext, client: httpx.Client) -> None:
    with context.database.session_scope() as session:
        for number in range(120):
            address = f"p{number:03}@example.org"
            session.add(Recipient(address=address, lookup=address))
    seen: list[str] = []
    path = "/recipients"
    while path:
        page = client.get(path)
        seen += [words(element) for element in every(page, ".recipient-name")]
        further = every(page, ".recipients-more a")
        path = attribute(further[0], "href") if further else ""
    assert seen == [f"p{number:03}@example.org" for number in range(120)]


def test_a_person_is_found_by_address_or_public_id(client: httpx.Client, anna: Recipient) -> None:
    for who in (anna.public_id, "anna@example.org", "ANNA@Example.ORG"):
        assert text_at(client.get(f"/recipients/{who}"), "h1") == "Anna Petit"
    for who in ("nobody@example.org", "no-such-id", "@", "a@b@c"):
        assert client.get(f"/recipients/{who}").status_code == 404


def test_the_ledger_is_a_story(client: httpx.Client, anna: Recipient) -> None:
    story = every(client.get(f"/recipients/{anna.public_id}/rights"), ".recipient-ledger li")
    assert words(story[0]).startswith("Clicks: agreed")
    assert "Known from a written reply; recorded by the person" in words(story[0])
    assert "“Yes, fine with me.”" in words(story[0])
    assert "Evidence C: a written reply, quoted" in words(story[0])


def test_a_ledger_changed_from_outside_is_said(context: AppContext, client: httpx.Client, anna: Recipient) -> None:
    assert not every(client.get(f"/recipients/{anna.public_id}/rights"), ".recipient-ledger .notice")
    with context.database.session_scope() as session:
        first = session.exec(select(ConsentEntry).where(ConsentEntry.number == 1)).one()
        first.note = "something else"
        session.add(first)
    assert "Entry 1 does not fit" in text_at(
        client.get(f"/recipients/{anna.public_id}/rights"), ".recipient-ledger .notice"
    )


def test_consent_is_recorded_for_both_purposes_by_the_user(
    context: AppContext, client: httpx.Client, alice: User
) -> None:
    client.post("/recipients", data={"address": "Luc <luc@example.org>"})
    luc = person(context, "luc@example.org")
    client.post(f"/recipients/{luc.public_id}/consent", data={**AGREED, "at": "2026-03-03T10:00"})
    assert [(e.purpose, e.state, e.actor, e.grade, e.at.day) for e in entries(context)] == [
        ("opens", "granted", f"user:{alice.id}", "C", 3),
        ("clicks", "granted", f"user:{alice.id}", "C", 3),
    ]
    assert "recorded by Alice" in text_at(client.get(f"/recipients/{luc.public_id}/rights"), ".recipient-ledger")


@pytest.mark.parametrize(
    ("change", "field", "sentence"),
    [
        ({"note": ""}, "note", "A consent needs its evidence"),
        ({"at": "2199-01-01T00:00"}, "at", "lies in the future"),
        ({"at": "last week"}, "at", "This is not a time"),
        ({"channel": "gossip"}, "channel", "must be one of"),
        ({"state": "perhaps"}, "state", "Choose what the person said"),
        ({"purpose": "everything"}, "purpose", "Choose what was agreed to"),
        ({"state": "lapsed"}, "state", "cannot go from"),
    ],
)
def test_what_cannot_be_recorded_is_said_at_its_field_and_nothing_is_lost(
    context: AppContext, client: httpx.Client, change: dict[str, str], field: str, sentence: str
) -> None:
    client.post("/recipients", data={"address": "luc@example.org"})
    answer = client.post(
        f"/recipients/{person(context, 'luc@example.org').public_id}/consent", data={**AGREED, **change}
    )
    assert answer.status_code == 422
    assert sentence in text_at(answer, f"#{field}-wrong")
    assert only(answer, "#note").text.strip() == {**AGREED, **change}["note"]
    assert entries(context) == []


def test_one_refusal_of_two_purposes_records_neither(
    context: AppContext, client: httpx.Client, anna: Recipient
) -> None:
    """Opens could be asked about again, clicks not: the form is one act."""
    agree(context, "anna@example.org", ConsentState.WITHDRAWN, (Purpose.OPENS,))
    before = len(entries(context))
    answer = client.post(f"/recipients/{anna.public_id}/consent", data={**AGREED, "state": "asked"})
    assert answer.status_code == 422
    assert len(entries(context)) == before


def test_never_track_is_a_switch(context: AppContext, client: httpx.Client, anna: Recipient) -> None:
    client.post(f"/recipients/{anna.public_id}", data={"name": "Anna P.", "never_track": "on"})
    assert (person(context).name, person(context).never_track) == ("Anna P.", True)
    assert "never-track list" in text_at(client.get(f"/recipients/{anna.public_id}/rights"), ".recipient-consent")
    client.post(f"/recipients/{anna.public_id}", data={"name": "Anna P."})
    assert person(context).never_track is False


def test_only_ones_own_mail_to_them_is_shown(context: AppContext, alice: User, bob: User, client_of: ClientOf) -> None:
    write(context, alice, Written("of Alice", (ANNA,)))
    write(context, bob, Written("of Bob", (ANNA,)))
    story = every(client_of(bob).get(f"/recipients/{ANNA.address}"), ".person-story .event-title a")
    assert [words(element) for element in story] == ["of Bob"]


@pytest.mark.parametrize("typed", ["", "no address", "a@example.org, b@example.org"])
def test_an_address_that_is_none_is_said(context: AppContext, client: httpx.Client, typed: str) -> None:
    answer = client.post("/recipients", data={"address": typed})
    assert text_at(client.get(answer.headers["location"]), ".flash.problem")
    with context.database.reading() as session:
        assert session.exec(select(Recipient)).all() == []


def test_hostile_words_are_words(context: AppContext, client: httpx.Client) -> None:
    agree(context, "eve@example.org", name=HOSTILE)
    eve = person(context, "eve@example.org")
    client.post(f"/recipients/{eve.public_id}/consent", data={**AGREED, "note": HOSTILE})
    for path in ("/recipients", f"/recipients/{eve.public_id}/rights", f"/recipients?q={HOSTILE}"):
        answer = client.get(path)
        assert not [script for script in every(answer, "script") if "src" not in script.attrs]
        assert "alert(1)" in answer.text


def test_whoever_was_erased_is_counted_and_not_listed(
    context: AppContext, client: httpx.Client, anna: Recipient, alice: User
) -> None:
    erase(context, anna.address, f"user:{alice.id}")
    page = client.get("/recipients").text
    assert "erased:" not in page
    assert "1 person was erased, and is never tracked or asked again." in page
