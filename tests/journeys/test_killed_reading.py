"""`kill -9` of the whole product in the middle of a first load: no letter is lost, none comes twice."""

import signal
import time
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import func, select

from tests.fixtures.contexts import People, opened_context
from tests.inbound.mail_world import SECRET, Post, fresh_address, letter, mailbox_on
from tests.journeys.test_killed import serving
from tests.servers import Dovecot, free_port, wait_until
from tracker.models import Letter, LetterBody, LetterCopy, LetterRaw, PendingAction
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

LETTERS = 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("protocol", "database_url"), [("imap", "postgresql"), ("pop3", "sqlite")], indirect=["database_url"]
)
def test_nothing_is_lost_or_doubled_when_the_product_is_killed_while_reading(
    tmp_path: Path, dovecot: Dovecot, protocol: str, database_url: str | None
) -> None:
    port, address = free_port(), fresh_address()
    dovecot.add_user(address, SECRET)
    with dovecot._as(address) as imap:
        for number in range(LETTERS):
            imap.append("INBOX", None, None, letter(f"Offer {number}", f"c{number}@client.example", body="x" * 2000))
    with opened_context(tmp_path, database_url) as context:
        more: dict[str, Any] = {"mark_read": True} if protocol == "imap" else {}
        post = mailbox_on(context, People(context).user(), dovecot, address, protocol=protocol, **more)
        for loaded in (10, 40):
            with serving(tmp_path, port, database_url) as product:
                wait_until(lambda n=loaded: _count(context) >= n, 120)  # type: ignore[misc]
                product.send_signal(signal.SIGKILL)
                product.wait()
        assert _count(context) < LETTERS
        with serving(tmp_path, port, database_url):
            wait_until(lambda: post.mailbox.good_run_at is not None, 200)
            dovecot.append(address, letter("After all that"), received_at=now())
            _ask(post)
            wait_until(lambda: _count(context) == LETTERS + 1, 120)
            wait_until(lambda: not post.rows(PendingAction), 120)
        time.sleep(0.1)
        subjects = sorted(post.subjects())
        assert subjects == sorted([*(f"Offer {number}" for number in range(LETTERS)), "After all that"])
        for rows in (post.rows(LetterBody), post.rows(LetterRaw), post.rows(LetterCopy)):
            assert len({row.letter_id for row in rows}) == LETTERS + 1
    if protocol == "imap":
        assert all("\\Seen" in flags for flags in dovecot.flags(address).values())


def _ask(post: Post) -> None:
    post.change(sync_wanted=True, due_at=now())


def _count(context: AppContext) -> int:
    with context.database.reading() as session:
        return session.exec(select(func.count()).select_from(Letter)).one()
