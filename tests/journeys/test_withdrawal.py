"""A withdrawal reaches mail already delivered: by the real page, edge and worker, measured."""

import re
import time

import httpx
import pytest
from sqlalchemy import select as columns
from sqlmodel import SQLModel, col, select

from tests.fixtures.contexts import People, opened_context
from tests.journeys.test_send_and_track import CHROME, html_of, running, send_all
from tests.servers import SmtpSink, free_port, wait_until
from tracker.consent.ledger import broken_at, ledger
from tracker.consent.rules import ConsentState
from tracker.models import DrainCursor, Event
from tracker.recipients import find
from tracker.runtime.context import AppContext

ANNA = "anna@client.example"
MARK = "Trace/424242"


def traces(context: AppContext) -> list[str]:
    places = []
    with context.database.reading() as session:
        for table in SQLModel.metadata.tables.values():
            for row in session.connection().execute(columns(*table.columns)).mappings():
                places += [f"{table.name}.{name}" for name, value in row.items() if MARK in str(value)]
    return places


def taken_in(context: AppContext) -> int:
    with context.database.reading() as session:
        cursor = session.get(DrainCursor, "local")
        return cursor.after if cursor else 0


def test_under_a_second_from_the_persons_word_to_silence(
    tmp_path: object, smtp_sink: SmtpSink, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with opened_context(tmp_path, BASE_URL=url, TRACKING_URL=url, WINDOW_SCALE="0.01") as context:  # type: ignore[arg-type]
        people = People(context)
        alice = people.user()
        people.account(alice, smtp_sink)
        people.grant(ANNA)
        people.send(alice, ANNA)
        with running(context), httpx.Client(headers=CHROME) as anna:
            send_all(context)
            html = html_of(smtp_sink.wait_for(1)[0].content)
            pixel, click, own = (re.search(rf'"([^"]+/{kind}/[^"]+)"', html)[1] for kind in "ocr")  # type: ignore[index]
            anna.get(pixel)
            wait_until(lambda: taken_in(context) >= 1)
            with context.database.reading() as session:
                before = [event.public_id for event in session.exec(select(Event))]
            assert before

            known = taken_in(context)
            assert "agreed" in anna.get(own).text, "the page has been looked at"
            began = time.monotonic()
            assert httpx.post(own, data={"do": "stop"}).status_code == 200
            silent_after = time.monotonic() - began
            for _ in range(3):
                assert anna.get(pixel, headers={"user-agent": MARK}).content[:6] == b"GIF89a"
                answer = anna.get(click, headers={"user-agent": MARK})
                assert (answer.status_code, answer.headers["location"]) == (302, "https://shop.example/offer?a=1&b=2")
            wait_until(lambda: taken_in(context) > known)
            time.sleep(1.0)  # and all of them

            assert silent_after < 1.0
            with context.database.reading() as session:
                assert [event.public_id for event in session.exec(select(Event).order_by(col(Event.id)))] == before
                person = find(session, ANNA)
                assert person is not None
                assert {entry.state for entry in ledger(session, person)} == {
                    ConsentState.GRANTED,
                    ConsentState.WITHDRAWN,
                }
                assert broken_at(session, person) is None
            assert traces(context) == []
            wait_until(lambda: in_files(context) == [])
    assert MARK not in caplog.text


def in_files(context: AppContext) -> list[str]:
    files = [path for path in context.settings.data_dir.rglob("*") if path.is_file()]
    return [path.name for path in files if MARK.encode() in path.read_bytes()]
