"""`inkling check`: everything an operator would look at, and exit code 1 when something is wrong."""

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from pixel.limits import Budgets
from pixel.spool import SpoolReader
from pixel.tokens import open_path
from tests.commands.inkling import Inkling
from tests.pixel.edge_server import DRAIN_KEY, running_edge
from tests.servers import free_port, wait_until
from tracker.consent.ledger import record_consent
from tracker.consent.preferences import set_policy
from tracker.consent.rules import ConsentState, Pack, Purpose
from tracker.models import Account, Mailbox, User
from tracker.recipients import find_or_make
from tracker.runtime.database import now
from tracker.runtime.processes import Process


def findings(inkling: Inkling, *, code: int, **settings: str) -> dict[str, tuple[str, str]]:
    """What was looked at: the mark and the words."""
    done = inkling.in_process("check", stdin=b"", **settings)
    assert (done.code, done.err) == (code, "")
    marks = (line[:5].strip() for line in done.text.splitlines())
    rest = (line[6:].partition(": ") for line in done.text.splitlines())
    return {what: (mark, words) for mark, (what, _, words) in zip(marks, rest, strict=True)}


@pytest.fixture
def tracked(inkling: Inkling, tmp_path: Path) -> Inkling:
    """With a tracking host that does not answer; `running_edge` makes one that does."""
    inkling.settings["TRACKING_URL"] = f"http://127.0.0.1:{free_port()}"
    return inkling


def test_all_is_well(inkling: Inkling, tmp_path: Path) -> None:
    with running_edge(tmp_path / "edge") as edge:
        done = inkling("check", TRACKING_URL=f"http://127.0.0.1:{edge.port}")
    assert (done.code, done.err) == (0, "")
    assert "WRONG" not in done.text
    assert done.text.startswith(
        f"ok    settings: data in {tmp_path / 'data'}\nok    keys: 1 in the ring\nok    database: SQLite"
    )


def test_a_tracking_host_that_does_not_answer(tracked: Inkling) -> None:
    report = findings(tracked, code=1)
    assert report["tracking host"][0] == "WRONG"
    assert [what for what, (mark, _) in report.items() if mark == "WRONG"] == ["tracking host"]
    assert report["spool"][0] == report["worker"][0] == "note", "not begun is not wrong"


def test_a_tracking_host_with_something_in_front_of_it(inkling: Inkling, tmp_path: Path) -> None:
    with running_edge(tmp_path / "edge") as edge:
        report = findings(inkling, code=1, TRACKING_URL=f"http://127.0.0.1:{edge.port}/elsewhere")
    assert report["tracking host"] == ("WRONG", report["tracking host"][1])
    assert "is something in front of it?" in report["tracking host"][1]


def test_a_database_that_was_never_migrated(tracked: Inkling, postgresql_url: str) -> None:
    report = findings(tracked, code=1, DATABASE_URL=postgresql_url)
    assert report["database"] == ("WRONG", "is empty. Run: inkling migrate")
    assert "consent ledger" not in report


def test_databases_that_are_behind_ahead_or_away(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    context.database.close()
    assert "newer version of Inkling" in findings(tracked, code=1)["database"][1]
    away = findings(tracked, code=1, DATABASE_URL="postgresql://u:hush@127.0.0.1:1/n")["database"]
    assert away[0] == "WRONG"
    assert "hush" not in away[1]


def test_a_ledger_somebody_wrote_in(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        for address in ("anna@client.example", "luc@client.example"):
            recipient = find_or_make(session, address)
            session.flush()
            record_consent(session, recipient, Purpose.OPENS, ConsentState.REFUSED, actor="subject", channel="web_form")
    assert findings(tracked, code=1)["consent ledger"] == ("ok", "every chain is whole (2 entries)")
    with context.database.session_scope() as session:
        session.execute(text("UPDATE consent_entry SET state = 'granted' WHERE recipient_id = 2"))
        luc = find_or_make(session, "luc@client.example").public_id
    assert findings(tracked, code=1)["consent ledger"] == ("WRONG", f"was changed: recipient {luc}, entry 1")
    context.database.close()


def test_a_policy_above_the_ceiling_is_told_with_what_is_in_force(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        set_policy(session, Pack.NOTICE, "our customers know us")
    context.database.close()
    assert findings(tracked, code=1)["consent policy"] == ("ok", "notice")
    mark, text = findings(tracked, code=1, TRACKING_CEILING="strict,opens")["consent policy"]
    assert mark == "note"
    assert "“notice” was chosen and lies above INKLING_TRACKING_CEILING; “strict” is in force" in text
    assert findings(tracked, code=1, TRACKING_CEILING="opens")["consent policy"] == ("ok", "notice"), "no policy named"


def test_a_worker_with_a_problem_and_one_that_is_gone(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        session.add(Process(id="a", place="", number=1, started=1, tasks={"send": ""}))
    assert findings(tracked, code=1)["worker"][0] == "ok"
    with context.database.session_scope() as session:
        session.merge(Process(id="a", place="", number=1, started=1, at=now() - timedelta(hours=2)))
    assert findings(tracked, code=1)["worker"][0] == "note"
    with context.database.session_scope() as session:
        session.merge(Process(id="b", place="", number=2, started=1, tasks={"settle": "LookupError: x"}))
    assert findings(tracked, code=1)["worker, settle"] == ("WRONG", "LookupError: x")
    context.database.close()


def test_an_account_that_is_broken(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        alice = User(email="alice@seller.example", name="Alice")
        session.add(alice)
        session.flush()
        for address, state in (("alice@seller.example", "broken"), ("sales@seller.example", "works")):
            server = Account(user_id=alice.id or 0, address=address, smtp_host="h", smtp_port=1, smtp_security="tls")
            server.state, server.state_detail = state, "h:1 refused the login" if state == "broken" else ""
            session.add(server)
    context.database.close()
    report = findings(tracked, code=1)
    assert report["account alice@seller.example"] == ("WRONG", "h:1 refused the login")
    assert report["account sales@seller.example"] == ("ok", "works")


def test_a_mailbox_that_cannot_be_read(tracked: Inkling) -> None:
    findings(tracked, code=1)
    context = tracked.context()
    with context.database.session_scope() as session:
        alice = User(email="alice@seller.example", name="Alice")
        session.add(alice)
        session.flush()
        states = (("info", "auth_error", "refused"), ("sales", "active", ""), ("old", "paused", ""))
        for name, state, detail in states:
            address = f"{name}@site.example"
            mailbox = Mailbox(user_id=alice.id or 0, address=address, canonical=address, state=state)
            mailbox.state_detail = detail
            session.add(mailbox)
    context.database.close()
    report = findings(tracked, code=1)
    assert report["mailbox info@site.example"] == ("WRONG", "refused")
    assert report["mailbox sales@site.example"] == ("ok", "active")
    assert report["mailbox old@site.example"] == ("note", "paused")


def test_a_spool_that_cannot_be_read(tracked: Inkling, tmp_path: Path) -> None:
    spool = tmp_path / "data" / "spool.sqlite3"
    with closing(sqlite3.connect(spool)) as connection:
        connection.execute("CREATE TABLE hit (id INTEGER PRIMARY KEY)")
        connection.execute("INSERT INTO hit VALUES (1)")
        connection.commit()
    assert findings(tracked, code=1)["spool"] == ("ok", "1 hits wait to be taken in")
    spool.write_bytes(b"not a database, but long enough to be looked at" * 40)
    assert findings(tracked, code=1)["spool"][0] == "WRONG"


def test_hits_that_were_not_written_down_are_named_here_and_on_remote_edges(inkling: Inkling, tmp_path: Path) -> None:
    with running_edge(tmp_path / "edge", budgets=Budgets(per_token=2)) as far, running_edge(tmp_path / "data") as near:
        token = far.open_token()
        for _ in range(5):
            far.ask(open_path(token))
        near.spool.metrics.lost, near.spool.metrics.rescued = 7, 3
        url, nobody = f"http://127.0.0.1:{far.port}", f"http://127.0.0.1:{free_port()}"
        wait_until(lambda: SpoolReader(tmp_path / "data" / "spool.sqlite3").counts().get("hits_lost") == 7)
        edges = {"TRACKING_URL": url, "EDGE_URLS": f"{url},{nobody}", "DRAIN_KEY": DRAIN_KEY}
        lines = inkling.in_process("check", stdin=b"", **edges).text.splitlines()
    assert any(line.startswith(f"note  edge {url}: 3 hits were not written down") for line in lines), lines
    assert any(line.startswith("note  spool: 4 hits were lost") for line in lines)
    assert any(line.startswith(f"WRONG edge {nobody}: does not answer") for line in lines)
    assert f"ok    edge {url}: ok" in lines


def test_the_dns_of_sending_domains_is_looked_at(tracked: Inkling) -> None:
    """The test's names are not in the public tree, so nothing is asked; what is said of records has tests of its own."""
    context = tracked.context()
    context.database.migrate()
    with context.database.session_scope() as session:
        user = User(email="a@seller.example", name="A")
        session.add(user)
        session.flush()
        assert user.id is not None
        for address in ("a@seller.example", "b@seller.example", "c@gmail.com"):
            session.add(Account(user_id=user.id, address=address, smtp_host="h", smtp_port=25, smtp_security="none"))
    context.database.close()
    report = findings(tracked, code=1)
    assert report["SPF, DKIM, DMARC of seller.example"][0] == "note"
    assert report["SPF, DKIM, DMARC of gmail.com"][0] == "ok"
