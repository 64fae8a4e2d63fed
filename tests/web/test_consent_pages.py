"""The pages of consent: the story with its evidence, the import, the rules and their history."""

import httpx
import pytest
from sqlmodel import col, select

from tests.web.conftest import ClientOf, MakeUser
from tests.web.mail_world import agree, make_account
from tests.web.reading import every, only, text_at, words
from tracker.consent.preferences import preference
from tracker.consent.rules import ConsentState
from tracker.models import Account, ConsentEntry, MessageBody, PolicyChange, Recipient, User
from tracker.runtime.context import AppContext

WHOLE = {
    "purpose": "both",
    "state": "granted",
    "channel": "web_form",
    "note": "",
    "reference": "form 12",
    "source_url": "https://shop.example/contact?mail=anna",
    "question": "May we?",
    "control": "two unticked boxes",
    "shown": "We see whether you open our mail.",
    "notice": "order-form",
    "notice_version": "2",
}
FILE = "address,purpose,state,at\nluc@example.org,opens,refused,\neve@example.org,everything,refused,\n"


def person(context: AppContext, address: str = "anna@example.org") -> Recipient:
    with context.database.reading() as session:
        return session.exec(select(Recipient).where(Recipient.lookup == address)).one()


@pytest.fixture
def anna(context: AppContext) -> Recipient:
    agree(context, "anna@example.org", ConsentState.REFUSED, name="Anna Petit")
    return person(context)


def test_the_evidence_of_a_consent_is_recorded_and_told(
    context: AppContext, client: httpx.Client, anna: Recipient
) -> None:
    assert client.post(f"/recipients/{anna.public_id}/consent", data=WHOLE).status_code == 303
    page = client.get(f"/recipients/{anna.public_id}/rights")
    assert "4 entries, nothing changed or missing" in text_at(page, ".consent-whole")
    newest = words(every(page, ".recipient-ledger li")[0])
    for sentence in (
        "May we?",
        "two unticked boxes",
        "form 12",
        "https://shop.example/contact",
        "order-form 2",
        "EEA-2024-10-07",
    ):
        assert sentence in newest
    assert "mail=anna" not in newest
    assert "We see whether you open our mail." in newest, "the text that was shown, word for word"
    with context.database.reading() as session:
        entry = session.exec(select(ConsentEntry).order_by(col(ConsentEntry.number).desc())).first()
    assert entry is not None
    assert (entry.grade, entry.previous_digest != entry.digest) == ("B", True)


def test_a_consent_without_evidence_is_refused_and_nothing_is_lost(client: httpx.Client, anna: Recipient) -> None:
    bare = {"purpose": "both", "state": "granted", "channel": "web_form", "question": "May we?"}
    answer = client.post(f"/recipients/{anna.public_id}/consent", data=bare)
    assert (answer.status_code, "needs its evidence" in text_at(answer, "#note-wrong")) == (422, True)
    assert "May we?" in answer.text
    noted = {**WHOLE, "channel": "phone_note", "note": "“yes”"}
    answer = client.post(f"/recipients/{anna.public_id}/consent", data=noted)
    assert "accepted is A–C" in text_at(answer, "#channel-wrong")


def test_whose_rules_hold_is_said_and_can_be_declared(context: AppContext, client: httpx.Client) -> None:
    agree(context, "luc@example.fr")
    luc = person(context, "luc@example.fr").public_id
    assert "Rules of FR · by the address" in text_at(client.get(f"/recipients/{luc}/rights"), ".consent-whose")
    client.post(f"/recipients/{luc}", data={"name": "", "jurisdiction": "us"})
    assert "Rules of US · as noted here" in text_at(client.get(f"/recipients/{luc}/rights"), ".consent-whose")
    refused = client.post(f"/recipients/{luc}", data={"name": "Luc", "jurisdiction": "F1", "never_track": "on"})
    assert (refused.status_code, "country code" in text_at(refused, "#jurisdiction-wrong")) == (422, True)
    shown = {name: only(refused, f"#{name}").attrs for name in ("name", "jurisdiction", "never_track")}
    assert (shown["name"]["value"], shown["jurisdiction"]["value"]) == ("Luc", "F1")
    assert "checked" in shown["never_track"]
    assert person(context, "luc@example.fr").jurisdiction == "US"
    client.post(f"/recipients/{luc}", data={"name": "", "jurisdiction": ""})
    assert person(context, "luc@example.fr").jurisdiction is None


def test_an_import_says_what_became_of_each_row(context: AppContext, client: httpx.Client) -> None:
    page = client.post("/recipients/import", files={"file": ("x.csv", FILE.encode(), "text/csv")})
    assert "2 rows read, one entry recorded, one row refused" in text_at(page, ".consent-result")
    assert [words(element)[:6] for element in every(page, ".consent-refused li")] == ["Line 3"]
    assert person(context, "luc@example.org").ledger_entries == 1
    for files in ({}, {"file": ("x.csv", b"\xff\xff", "text/csv")}):
        answer = client.post("/recipients/import", files=files or None, data={"a": "b"})
        assert answer.status_code == 422
        assert text_at(answer, "#file-wrong")


def test_members_import_nothing_and_change_no_rules(
    client_of: ClientOf, make_user: MakeUser, context: AppContext
) -> None:
    bob = client_of(make_user("bob@example.com"))
    assert bob.get("/recipients/import").status_code == 403
    assert bob.post("/recipients/import", files={"file": ("x.csv", FILE.encode())}).status_code == 403
    assert bob.post("/settings/consent-rules", data={}).status_code == 403
    assert "Import consents" not in bob.get("/recipients").text
    with context.database.reading() as session:
        assert session.exec(select(Recipient)).all() == []


def test_the_rules_are_changed_and_every_change_is_told(context: AppContext, client: httpx.Client) -> None:
    rules = {
        "accepted_grades": "D",
        "consent_months": "12",
        "ask_again_days": "182",
        "admin_opens": "on",
        "admin_clicks": "on",
    }
    client.post("/settings/consent-rules", data={**rules, "member_opens": "on"})
    changes = [words(element) for element in every(client.get("/settings/policy"), ".consent-history li")]
    assert len(changes) == 3
    assert "Who may track: everybody may track everything → Members: Opens" in changes[0]
    assert "Evidence that counts: A–C → A–D" in changes[2]
    assert "Alice" in changes[0]
    client.post("/settings/consent-rules", data={**rules, "consent_months": "120"})
    with context.database.reading() as session:
        assert preference(session, "consent_months") == 12
        assert len(session.exec(select(PolicyChange)).all()) == 3


def test_an_account_says_what_its_mail_measures(
    context: AppContext, client: httpx.Client, alice: User, bob: User
) -> None:
    with context.database.session_scope() as session:
        mine, his = (
            Account(user_id=u.id or 0, address=u.email, smtp_host="h", smtp_port=25, smtp_security="none")
            for u in (alice, bob)
        )
        session.add_all((mine, his))
    page = f"/settings/accounts/{mine.public_id}"
    assert "What is tracked in mail from this address" in client.get(page).text
    assert client.post(f"{page}/measuring", data={"measure_clicks": "on"}).status_code == 303
    assert client.post(f"/settings/accounts/{his.public_id}/measuring", data={}).status_code == 404
    with context.database.reading() as session:
        measured = {a.address: (a.measure_opens, a.measure_clicks) for a in session.exec(select(Account))}
    assert measured == {alice.email: (False, True), bob.email: (True, True)}


def test_people_are_asked_in_the_name_of_a_company_or_a_person_never_of_a_host(
    client: httpx.Client, context: AppContext, alice: User
) -> None:
    make_account(context, alice)
    page = client.get("/asking")
    assert "127.0.0.1" not in text_at(page, "main")
    assert "Alice would like to see" in text_at(page, "main")
    asked = {"to": "anna@example.org", "language": "en", "company": "Wonderland Ltd"}
    assert client.post("/asking", data=asked).status_code == 303
    page = client.get("/asking")
    assert "Wonderland Ltd would like to see" in text_at(page, "main")
    assert every(page, "#company") == []
    with context.database.reading() as session:
        asking = session.exec(select(MessageBody)).one()
    assert "Wonderland Ltd" in f"{asking.html} {asking.text}"
    assert "127.0.0.1\n" not in f"{asking.text}"


@pytest.mark.parametrize(
    ("state", "why"),
    [
        (ConsentState.ASKED, "was asked already and has not answered yet"),
        (ConsentState.OBJECTED, "has objected and is not asked again"),
        (ConsentState.BLOCKED, "must never be asked"),
        (ConsentState.GRANTED, "has agreed already"),
    ],
)
def test_who_is_not_asked_again_is_named_with_the_reason(
    client: httpx.Client, context: AppContext, sender: User, state: ConsentState, why: str
) -> None:
    agree(context, "anna@example.org", state=state)
    client.post("/asking", data={"to": "anna@example.org", "language": "en"})
    assert text_at(client.get("/recipients"), ".flash").startswith(f"Not asked: anna@example.org {why}.")
