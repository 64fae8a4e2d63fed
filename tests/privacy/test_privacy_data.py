"""The list of what tells of people: complete, and true when somebody is erased."""

import json
import logging
from base64 import b64encode
from io import BytesIO
from typing import Any
from zipfile import ZipFile

import pytest
from sqlalchemy import JSON, Boolean, Date, DateTime, Float, Integer, LargeBinary, Table
from sqlalchemy import select as columns
from sqlmodel import Session, SQLModel, col, select

from tests.engagement.edge_by_hand import Edge, ingest_hits, settle
from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tracker.consent.ledger import broken_at, consent_of, ledger
from tracker.consent.preferences import set_preference
from tracker.consent.rules import ConsentState, Purpose
from tracker.engagement.ingest import quarantine
from tracker.mail.addresses import Address
from tracker.models import Delivery, Erasure, Event, Message, MessageBody, Recipient, User
from tracker.outbound.draft import Draft
from tracker.outbound.policy import plan_policy
from tracker.outbound.queue import send_due
from tracker.outbound.send import enqueue_composed
from tracker.privacy.archive import archive_of
from tracker.privacy.data import DATA
from tracker.privacy.erase import erase, erase_again
from tracker.privacy.redact import Redactor
from tracker.recipients import find, find_or_make
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

ANNA, NAME = "anna.petrova@client.example", "Anna Petrova-Quill"
OTHERS = "luc@other.example"


def test_every_column_is_on_the_list() -> None:
    tables = SQLModel.metadata.tables
    missing = [f"{name}.{c.name}" for name, t in tables.items() for c in t.columns if c.name not in _listed(name)]
    assert missing == [], (
        "Say in tracker/privacy/data.py what these columns may tell of a person: person (names them), about (what they did), "
        "words (free text), staff (our own people) or plain. Rows about a person also need their line in "
        "tracker/privacy/erase.py and, where the person may see them, in tracker/privacy/archive.py."
    )
    gone = [
        f"{name}.{column}" for name, listed in DATA.items() for column in listed.every() if column not in _columns(name)
    ]
    assert gone == [], "these are no columns any more: take them off tracker/privacy/data.py"
    twice = [f"{name}.{c}" for name, listed in DATA.items() for c in set(listed.every()) if listed.every().count(c) > 1]
    assert twice == [], "name each column once in tracker/privacy/data.py"


def _listed(table: str) -> list[str]:
    return DATA[table].every() if table in DATA else []


def _columns(table: str) -> set[str]:
    known = SQLModel.metadata.tables.get(table)
    return {column.name for column in known.columns} if known is not None else set()


# --- erasure


@pytest.fixture
def alice(people: People, smtp_sink: SmtpSink) -> User:
    user = people.user()
    people.account(user, smtp_sink)
    return user


def traces(context: AppContext, *marks: str) -> list[str]:
    """Where in the database one of the marks can be read, in whatever spelling or encoding."""
    places = set()
    with context.database.reading() as session:
        for table in SQLModel.metadata.tables.values():
            for row in session.connection().execute(columns(*table.columns)).mappings():
                places |= {f"{table.name}.{name}" for name, value in row.items() if _tells(value, marks)}
    return sorted(places)


def _tells(value: object, marks: tuple[str, ...]) -> bool:
    shown = (value if isinstance(value, bytes) else str(value).encode()).lower()
    quoted = shown.replace(b"=\r\n", b"")
    return any(
        mark.lower().encode() in text or b64encode(mark.encode()) in text for mark in marks for text in (shown, quoted)
    )


def filled(context: AppContext, skip: frozenset[str] = frozenset()) -> None:
    """A row in every table, with the address in each column that may name the person or hold words about them."""
    with context.database.session_scope() as session:
        for table in SQLModel.metadata.sorted_tables:
            if table.name not in skip:
                values = {c.name: _value(session, table, c) for c in table.columns if not _is_made(c)}
                session.connection().execute(table.insert().values({k: v for k, v in values.items() if v is not None}))


def _is_made(column: Any) -> bool:
    return column.name == "id" and bool(column.primary_key) and isinstance(column.type, Integer)


def _value(session: Session, table: Table, column: Any) -> Any:
    searched = column.name in DATA[table.name].searched
    if column.foreign_keys:
        other = next(iter(column.foreign_keys)).column
        newest = columns(other).order_by(other.desc()).limit(1)
        return session.connection().execute(newest).scalar()
    kind = column.type
    if isinstance(kind, JSON):
        return [[ANNA, NAME]] if searched else []
    if isinstance(kind, LargeBinary):
        return b"sealed"
    for plain, value in ((Boolean, False), (Integer, 7), (Float, 0.5)):
        if isinstance(kind, plain):
            return value
    if isinstance(kind, DateTime) or "DateTime" in type(kind).__name__:
        return now()
    if isinstance(kind, Date):
        return now().date()
    fixed = {"domain_profile.domain": "client.example", "domain_profile.host": "mx.client.example"}
    fixed |= {"consent_entry.state": "granted", "consent_entry.purpose": "opens", "delivery.status": "accepted"}
    if f"{table.name}.{column.name}" in fixed:
        return fixed[f"{table.name}.{column.name}"]
    if column.name in DATA[table.name].person:
        return ANNA
    text = f"to {ANNA.title()} it was" if searched else f"x{table.name[:9]}{column.name[:4]}"
    return text[: getattr(kind, "length", None) or 500]


def test_a_row_in_every_table_and_nothing_is_left_of_the_address(
    context: AppContext, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        filled(context)
        assert len(traces(context, ANNA)) > 25, "the test fills what it looks for"
        erase(context, ANNA, "system")
    assert traces(context, ANNA, "client.example") == []
    assert ANNA not in caplog.text


def a_life(context: AppContext, people: People, alice: User) -> list[Delivery]:
    """Anna is asked, agrees, is written to alone and together with Luc, opens, clicks; a hit of hers is set aside."""
    people.grant(ANNA, name=NAME)
    people.grant(OTHERS, name="Luc")
    html = f'<p>Dear {NAME}, see <a href="https://shop.example/?for={ANNA}">the offer</a></p>'
    copies = []
    for to in ((ANNA,), (ANNA, OTHERS)):
        draft = Draft(
            to=tuple(Address(a, NAME if a == ANNA else "Luc") for a in to), subject=f"Offer for {NAME}", html=html
        )
        with context.database.session_scope() as session:
            enqueue_composed(session, context, session.get_one(User, alice.id), draft)
    while send_due(context):
        pass
    with context.database.reading() as session:
        copies = list(session.exec(select(Delivery).where(Delivery.address == ANNA).order_by(col(Delivery.id))))
    edge = Edge()
    for number, copy in enumerate(copies):
        edge.hit(copy, after=600 + 100 * number)
        edge.hit(copy, "click", link=0, after=900 + 100 * number)
    ingest_hits(context, edge)
    settle(context)
    late = edge.hit(copies[0], after=5000)
    quarantine(context, "test", late, "Trouble")
    return copies


def test_after_a_whole_life_nothing_tells_of_her_and_everything_of_luc_stays(
    context: AppContext, people: People, alice: User, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        a_life(context, people, alice)
        assert {"event.client", "recipient.name"} & set(traces(context, NAME, "Gmail", "Chrome"))
        receipt = erase(context, ANNA, f"user:{alice.id}")
    assert traces(context, ANNA, NAME, "client.example") == []
    with context.database.reading() as session:
        assert session.exec(select(Event)).all() == []
        (message,) = session.exec(select(Message)).all()
        assert (message.names, message.subject, message.opens) == ("Luc", "Offer for [erased]", 0)
        body = session.get_one(MessageBody, message.id)
        assert body.html == '<p>Dear [erased], see <a href="https://shop.example/?for=[erased]">the offer</a></p>'
        assert body.raw is None
        assert find(session, OTHERS) is not None
        erasure = session.exec(select(Erasure)).one()
    assert receipt.public_id == erasure.public_id
    assert erasure.done["message deleted"] == 1
    assert erasure.done["hit_aside"] == 1
    for path in context.settings.data_dir.rglob("*"):
        if path.is_file():
            assert not _tells(path.read_bytes(), (ANNA, NAME, "client.example")), path.name
    said = [f"{r.name} {r.getMessage()} {r.exc_text}" for r in caplog.records if not r.name.startswith("mail.log")]
    assert not _tells("".join(said), (ANNA, NAME))


def test_the_ledger_alone_tells_the_auditor_the_story_and_still_verifies(
    context: AppContext, people: People, alice: User
) -> None:
    a_life(context, people, alice)
    erase(context, ANNA, f"user:{alice.id}")
    with context.database.reading() as session:
        tombstone = session.exec(select(Recipient).where(col(Recipient.erased_at).is_not(None))).one()
        entries = ledger(session, tombstone)
        assert broken_at(session, tombstone) is None
    assert [e.state for e in entries][:2] == ["granted", "granted"]
    assert {e.state for e in entries[2:]} == {"blocked"}
    assert {(e.note, e.salt) for e in entries} == {("", None)}


@pytest.mark.parametrize("spelling", [ANNA, ANNA.upper().replace("CLIENT", "client")])
def test_met_again_she_is_never_asked_and_never_measured(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink, spelling: str
) -> None:
    a_life(context, people, alice)
    erase(context, ANNA, "system")
    smtp_sink.clear()
    with context.database.reading() as session:
        planned = plan_policy(
            session, context, session.get_one(User, alice.id), Draft(to=(Address(ANNA, NAME),), html="<p>x</p>"), None
        )
        assert [(p.opens.rule, p.clicks.rule) for p in planned] == [("blocked", "blocked")]
    people.send(alice, ANNA)
    while send_due(context):
        pass
    assert b"/o/" not in smtp_sink.accepted[0].content
    with context.database.session_scope() as session:
        again = find_or_make(session, ANNA, NAME)
        assert again.id is not None
        assert (again.name, again.erased_at is not None) == ("", True)
        assert set(consent_of(session, [again.id])[again.id].values()) == {ConsentState.BLOCKED}


def test_the_operator_may_keep_the_text_of_messages(context: AppContext, people: People, alice: User) -> None:
    with context.database.session_scope() as session:
        set_preference(session, "erasure_text", "keep")
    a_life(context, people, alice)
    erase(context, ANNA, "system")
    assert traces(context, ANNA, NAME) == []
    with context.database.reading() as session:
        assert sorted(m.names for m in session.exec(select(Message))) == ["Luc", "[erased]"]


def test_a_copy_that_still_waits_is_not_sent(
    context: AppContext, people: People, alice: User, smtp_sink: SmtpSink
) -> None:
    people.grant(ANNA)
    people.send(alice, ANNA, OTHERS)
    erase(context, ANNA, "system")
    while send_due(context):
        pass
    assert [mail.recipients for mail in smtp_sink.accepted] == [(OTHERS,)]


def test_an_older_backup_brings_nobody_back(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    erase(context, ANNA, "system")
    digests = {json.loads(line)["digest"] for line in context.settings.erasures_path.read_text().splitlines()}
    with context.database.session_scope() as session:  # as a backup from before would have it
        back = session.exec(select(Recipient).where(col(Recipient.erased_at).is_not(None))).one()
        back.address = back.lookup = ANNA
        back.name, back.erased_at = NAME, None
        session.add(back)
    assert erase_again(context, digests) == 1
    assert traces(context, ANNA, NAME) == []
    assert erase_again(context) == 0


def test_an_address_inside_another_is_another() -> None:
    redactor = Redactor(frozenset({"anna@client.example"}))
    assert (
        redactor.text("joanna@client.example anna@client.example.org")
        == "joanna@client.example anna@client.example.org"
    )
    assert (
        redactor.text("<ANNA@Client.Example>, Annabel, mailto:anna%40client.example")
        == "<[erased]>, Annabel, mailto:[erased]"
    )
    assert redactor.value({"to": [["anna@client.example", "Anna"]]}) == {"to": [["[erased]", "[erased]"]]}


# --- the archive


def test_the_archive_holds_all_of_hers_and_nothing_of_others(context: AppContext, people: People, alice: User) -> None:
    a_life(context, people, alice)
    with context.database.reading() as session:
        anna = find(session, ANNA)
    assert anna is not None
    with ZipFile(BytesIO(archive_of(context, anna, "ru"))) as packed:
        data, page = json.loads(packed.read("data.json")), packed.read("index.html").decode()
    assert data["subject"]["address"] == ANNA
    assert data["consent"] == {
        **dict.fromkeys((p.value for p in Purpose), "unknown"),
        "opens": "granted",
        "clicks": "granted",
    }
    assert [entry["note"] for entry in data["ledger"]] == ["ticked both boxes"] * 2
    assert data["ledger_is_whole"] is True
    assert len(data["copies"]) == 2
    events = [event for copy in data["copies"] for event in copy["events"]]
    assert {event["kind"] for event in events} == {"open", "click"}
    assert all(event["class"] and event["reasons"] is not None for event in events)
    assert data["copies"][0]["opens"] == {"measured": True, "rule": "granted", "basis": "consent_5_3"}
    assert "Luc" not in json.dumps(data, ensure_ascii=False)
    assert OTHERS not in page
    assert "<script" not in page
    assert ANNA in page


def test_a_name_that_is_markup_stays_text(context: AppContext) -> None:
    with context.database.session_scope() as session:
        made = find_or_make(session, ANNA, "<script>alert(1)</script>")
    with ZipFile(BytesIO(archive_of(context, made))) as packed:
        assert "<script>" not in packed.read("index.html").decode()
