"""`/letters`, `/enquiries`, `/credentials` and `/mailboxes` over HTTP."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest
from sqlmodel import select

from tests.servers import Dovecot
from tests.web.api.conftest import Caller, World
from tests.web.letters_world import GALLERY, Came, make_mailbox, receive
from tracker.models import Credential, LetterAttachment, Mailbox
from tracker.runtime.database import now

SECRET = "s3cret app pässword"


def subjects(caller: Caller, path: str, **query: object) -> list[str]:
    return [item["subject"] for item in caller.get(path, **query).json()["items"]]


def test_letters_are_listed_with_everything_the_contract_names(world: World, alice: Caller) -> None:
    box = make_mailbox(world.context, alice.user)
    first, repeat, *_ = receive(world.context, box, *GALLERY)
    items = alice.get("/letters").json()["items"]
    assert len(items) == len(GALLERY)
    item = items[0]
    assert item["subject"] == "Re: Twelve oak chairs"
    named = {"id", "mailbox", "received_at", "sender", "recipient", "subject", "category", "counted", "repeat_of", "bound",
             "in_reply_to_message"}  # fmt: skip
    assert named <= item.keys()
    assert (item["id"], item["repeat_of"], item["mailbox"]) == (repeat.public_id, first.public_id, box.public_id)
    assert (item["counted"], item["bound"], item["in_reply_to_message"]) == (False, None, None)
    assert item["received_at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"counted": "true"}, ["Twelve oak chairs", "Прайс-лист", "Samples"]),
        ({"counted": "false", "q": "table"}, ["Re: Twelve oak chairs"]),
        ({"category": "bulk"}, ["Autumn sale"]),
        ({"category": "bulk,bounce"}, ["Delivery Status Notification", "Autumn sale"]),
        ({"sender": "ken.watanabe@northwind.example", "category": "human"}, ["Samples"]),
        ({"q": "прайс"}, ["Прайс-лист"]),
        ({"mailbox": "nobody@shop.example"}, []),
    ],
)
def test_letters_are_filtered(world: World, alice: Caller, query: dict[str, object], expected: list[str]) -> None:
    receive(world.context, make_mailbox(world.context, alice.user), *GALLERY)
    assert subjects(alice, "/letters", **query) == expected


@pytest.mark.parametrize("query", [{"counted": "maybe"}, {"category": "spam"}, {"since": "monday"}, {"colour": "red"}])
def test_a_value_that_cannot_be_is_named(alice: Caller, query: dict[str, str]) -> None:
    answer = alice.get("/letters", **query)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == next(iter(query))


def test_pages_neither_repeat_nor_lose(world: World, alice: Caller) -> None:
    box = make_mailbox(world.context, alice.user)
    receive(world.context, box, *(Came(f"n{n}", f"p{n}@x.example", ago=timedelta(minutes=n)) for n in range(23)))
    ids: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = alice.get("/enquiries", limit=5, **({"cursor": cursor} if cursor else {})).json()
        ids += [item["subject"] for item in page["items"]]
        cursor = page["next"]
    assert ids == [f"n{n}" for n in range(23)]


def test_enquiries_tell_how_many_repeats_they_have(world: World, alice: Caller) -> None:
    receive(world.context, make_mailbox(world.context, alice.user), *GALLERY)
    items = alice.get("/enquiries").json()["items"]
    assert [(item["subject"], item["repeats"]) for item in items] == [
        ("Twelve oak chairs", 1), ("Прайс-лист", 0), ("Samples", 0)
    ]  # fmt: skip


def test_a_letter_has_its_text_and_the_names_of_its_files(world: World, alice: Caller) -> None:
    (letter,) = receive(world.context, make_mailbox(world.context, alice.user), Came("x", html="<script>1</script>"))
    with world.context.database.session_scope() as session:
        session.add(LetterAttachment(letter_id=letter.id or 0, position=0, filename="a.pdf", written_name="../a.pdf"))
    body = alice.get(f"/letters/{letter.public_id}").json()
    assert body["text"] == "Hello, do you have these chairs in oak?"
    assert body["attachments"][0]["filename"] == "a.pdf"
    assert body["attachments"][0]["written_name"] == "../a.pdf"


def test_somebody_elses_letters_and_mailboxes_are_not_there_for_an_admin_either(
    world: World, alice: Caller, bob: Caller
) -> None:
    box = make_mailbox(world.context, bob.user)
    (letter,) = receive(world.context, box, Came("Bob's"))
    assert alice.get("/letters").json()["items"] == []
    assert alice.get("/enquiries").json()["items"] == []
    assert alice.get(f"/letters/{letter.public_id}").status_code == 404
    assert alice.get("/mailboxes").json()["items"] == []
    for method in ("GET", "PATCH", "DELETE"):
        body: dict[str, object] | None = {} if method == "PATCH" else None
        assert alice.call(method, f"/mailboxes/{box.public_id}", body).status_code == 404
    for deed in ("check", "sync"):
        assert alice.post(f"/mailboxes/{box.public_id}/{deed}").status_code == 404


def box_on(dovecot: Dovecot, **changes: object) -> dict[str, object]:
    login = f"{uuid4().hex[:12]}@shop.example"
    dovecot.add_user(login, SECRET)
    fields = {"name": "Shop", "protocol": "imap", "host": dovecot.host, "port": dovecot.imap_port, "security": "none"}
    return {**fields, "login": login, "secret": SECRET, **changes}


def test_a_mailbox_is_connected_checked_and_read_over_http(world: World, alice: Caller, dovecot: Dovecot) -> None:
    credentials = alice.post("/credentials", box_on(dovecot))
    assert credentials.status_code == 201
    assert credentials.json()["secret_set"] is True
    made = alice.post(
        "/mailboxes", {"credentials": credentials.json()["id"], "repeat_period_days": 30, "folders": ["INBOX"]}
    )
    assert made.status_code == 201
    id = made.json()["id"]
    assert (made.json()["state"], made.json()["repeat_period_days"]) == ("checking", 30)
    checked = alice.post(f"/mailboxes/{id}/check").json()
    assert (checked["state"], checked["state_detail"], checked["letters_on_server"]) == ("active", "", 0)
    assert checked["noticed_at_once"] is False, "nobody listens yet"
    assert alice.post(f"/mailboxes/{id}/sync").status_code == 202
    with world.context.database.session_scope() as session:
        row = session.exec(select(Mailbox)).one()
        row.run_started_at, row.run_ended_at = now(), now() - timedelta(minutes=10)
    assert alice.get(f"/mailboxes/{id}").json()["last_run"]["ended_at"] is None, "of the run that goes on"
    changed = alice.call("PATCH", f"/mailboxes/{id}", {"active": False, "mark_read": True}).json()
    assert (changed["active"], changed["mark_read"], changed["state"]) == (False, True, "paused")
    assert alice.post(f"/mailboxes/{id}/sync").status_code == 409
    assert alice.call("DELETE", f"/credentials/{credentials.json()['id']}").status_code == 409
    assert alice.call("DELETE", f"/mailboxes/{id}").status_code == 204
    assert alice.call("DELETE", f"/credentials/{credentials.json()['id']}").status_code == 204
    assert alice.get("/mailboxes").json()["items"] == []


def test_new_credentials_can_come_with_the_mailbox(world: World, alice: Caller, dovecot: Dovecot) -> None:
    fields = box_on(dovecot)
    fields["address"] = fields.pop("login")
    made = alice.post("/mailboxes", {"credentials": fields})
    assert made.status_code == 201
    assert made.json()["address"] == fields["address"]


def test_c10_no_secret_ever_comes_back(world: World, alice: Caller, dovecot: Dovecot) -> None:
    made = alice.post("/mailboxes", {"credentials": box_on(dovecot, secret="wrong horse battery")})
    id = made.json()["id"]
    checked = alice.post(f"/mailboxes/{id}/check")
    assert checked.json()["state"] == "auth_error"
    answers = [made, checked, alice.get("/credentials"), alice.get("/mailboxes"), alice.get(f"/mailboxes/{id}")]
    assert all("wrong horse" not in json.dumps(answer.json()) for answer in answers)
    with world.context.database.reading() as session:
        stored = session.exec(select(Credential)).one().secret
    assert stored is not None
    assert b"wrong horse" not in stored


def test_c9_another_host_forgets_the_secret(alice: Caller, dovecot: Dovecot) -> None:
    id = alice.post("/credentials", box_on(dovecot)).json()["id"]
    assert alice.call("PATCH", f"/credentials/{id}", {"name": "Other"}).json()["secret_set"] is True
    assert alice.call("PATCH", f"/credentials/{id}", {"host": "mail.example.com"}).json()["secret_set"] is False


def test_c1_c3_the_same_mailbox_twice_is_a_conflict(world: World, alice: Caller, bob: Caller) -> None:
    for caller, login in ((alice, "ivan@ya.ru"), (bob, "Ivan@yandex.ru")):
        body = {"credentials": {"preset": "yandex", "login": login, "secret": SECRET}}
        answer = caller.post("/mailboxes", body)
    assert answer.status_code == 409
    assert answer.json()["errors"][0]["code"] == "duplicate"
    with world.context.database.reading() as session:
        assert len(session.exec(select(Mailbox)).all()) == 1
        assert len(session.exec(select(Credential)).all()) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"credentials": "nobody"}, "credentials"),
        ({}, "credentials"),
        ({"credentials": {"preset": "gmail", "login": "a@gmail.com"}, "repeat_period_days": 366}, "repeat_period_days"),
        ({"credentials": {"preset": "gmail", "login": "a@gmail.com"}, "first_window": "ever"}, "first_window"),
        ({"credentials": {"preset": "gmail", "login": "a@gmail.com"}, "folders": []}, "folders"),
        ({"credentials": {"preset": "gmail", "login": "a@gmail.com"}, "colour": 1}, "colour"),
        ({"credentials": {"host": "two words", "login": "a@b.example"}}, "credentials.host"),
    ],
)
def test_what_cannot_be_is_refused_with_the_fields_name(
    world: World, alice: Caller, body: dict[str, object], field: str
) -> None:
    answer = alice.post("/mailboxes", body)
    assert answer.status_code == 422
    assert field in [item["field"] for item in answer.json()["errors"]]
    with world.context.database.reading() as session:
        assert session.exec(select(Mailbox)).all() == []


def test_a_repeated_post_connects_once(world: World, alice: Caller) -> None:
    body = {"credentials": {"preset": "gmail", "login": "a@gmail.com", "secret": SECRET}}
    first, two = alice.post("/mailboxes", body, key="k1"), alice.post("/mailboxes", body, key="k1")
    assert first.json()["id"] == two.json()["id"]
    assert two.headers["idempotency-replayed"] == "true"
