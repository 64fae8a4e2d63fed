"""Letters: `python -m tests.bench.letters [--letters N] [--engine sqlite|postgresql]`. Figures, never asserted.

Per engine, on a mailbox that holds a million letters: milliseconds to decide whether one more counts, for an ordinary sender and
for one who wrote 100,000 of them within the period; to take a letter in whole; for pages of the letter list.
"""

import argparse
import random
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from functools import cache
from typing import Any

from sqlmodel import Session

from tests.bench.figures import add_figure
from tests.bench.ingest import bench_context
from tests.inbound.arrivals import NOON, Arrivals, at, connected
from tests.inbound.corpus import simple
from tracker.inbound.enquiry import decide_enquiries
from tracker.inbound.parse.letter import parse
from tracker.models import Letter, Mailbox, User
from tracker.models.counting.bulk import append_rows
from tracker.models.rows import public_id
from tracker.runtime.context import AppContext
from tracker.runtime.paging import Cursor
from tracker.web.inbox.filter import LetterFilter
from tracker.web.inbox.rows import read_letters

PER_SENDER = 10
ROBOT = "robot@machine.example"
ROBOT_LETTERS = 100_000
BATCH = 50_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--letters", type=int, default=1_000_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    words = parser.parse_args()
    print(f"{parsed_per_second():,.0f} letters of 6 KB understood per second\n", flush=True)
    for engine in words.engine or ("sqlite", "postgresql"):
        with bench_context(engine) as context:
            inbox = filled(context, words.letters)
            tell(engine, "decide: ordinary sender", decisions(inbox, ordinary(words.letters)))
            tell(engine, "decide: 100,000 in the period", decisions(inbox, lambda: ROBOT, rounds=100))
            tell(engine, "take a letter in, whole", arrivals(inbox))
            for name, page in pages(inbox):
                tell(engine, f"list: {name}", page)


def tell(engine: str, what: str, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    half, most = (ordered[round((len(ordered) - 1) * part)] * 1000 for part in (0.5, 0.99))
    add_figure(f"{what[0].upper()}{what[1:]}, {engine}, half", half, "ms")
    print(f"{engine:11} {what:32} {half:9.2f} ms, p99 {most:9.2f} ms  ({len(ordered):,} times)", flush=True)


def parsed_per_second() -> float:
    letter = simple("Subject: =?utf-8?B?0JfQsNC60LDQtw==?=", body="How much are forty chairs? " * 220)
    began = time.perf_counter()
    for _ in range(500):
        parse(letter)
    return 500 / (time.perf_counter() - began)


def filled(context: AppContext, letters: int) -> Arrivals:
    """A mailbox with so many letters: ten per sender, days apart, every fourth a repeat; and those of the robot."""
    with context.database.session_scope() as session:
        user = User(email="inbox@seller.example", name="Seller")
        session.add(user)
    inbox = connected(context, user)
    keys = Letter.__table__.metadata.tables["enquiry_key"]  # type: ignore[attr-defined]
    senders = [*(sender(n) for n in range(letters // PER_SENDER)), ROBOT]
    facts = {"mailbox_id": inbox.mailbox.id, "recipient": "info@site.example"}
    with context.database.session_scope() as session:
        append_rows(session, keys, [{"id": n, "sender": sender, **facts} for n, sender in enumerate(senders, 1)])
    for start in range(0, letters, BATCH):
        rows = [_letter(inbox, n, senders) for n in range(start, min(start + BATCH, letters))]
        with context.database.session_scope() as session:
            append_rows(session, Letter.__table__, rows)  # type: ignore[attr-defined]
    with context.database.session_scope() as session:
        session.connection().exec_driver_sql("ANALYZE")
        if session.get_bind().dialect.name == "postgresql":
            session.connection().exec_driver_sql(
                "SELECT setval('enquiry_key_id_seq', (SELECT max(id) FROM enquiry_key))"
            )
            session.connection().exec_driver_sql("SELECT setval('letter_id_seq', (SELECT max(id) FROM letter))")
    return inbox


def sender(number: int) -> str:
    return f"reader{number}@company{number % 500}.example"


def _letter(inbox: Arrivals, number: int, senders: Sequence[str]) -> dict[str, Any]:
    is_robot = number < ROBOT_LETTERS
    place = len(senders) - 1 if is_robot else number % (len(senders) - 1)
    came = NOON - timedelta(seconds=number / 2 if is_robot else number * 31)
    facts = {
        "id": number + 1,
        "public_id": f"bench-{number:09d}",
        "identity": f"{number:064d}",
        "message_id": f"{number}@company.example",
        "content_hash": f"{number:064d}",
        "received_at": came,
        "loaded_at": came,
        "sender": senders[place],
        "sender_address": senders[place],
        "subject": f"Chairs {number}",
        "enquiry_key_id": place + 1,
        "counted": number % 4 != 0 and not is_robot,
        "repeat_of_id": number if number % 4 == 0 and number > ROBOT_LETTERS else None,
    }
    return _template(inbox.mailbox.user_id, inbox.mailbox.id or 0) | facts


@cache
def _template(user_id: int, mailbox_id: int) -> dict[str, Any]:
    """The columns that are the same in every letter: making each by the model would take longer than the bench."""
    letter = Letter(
        user_id=user_id,
        mailbox_id=mailbox_id,
        identity="",
        received_at=NOON,
        recipient="info@site.example",
        snippet="How much are forty chairs?",
    )
    return letter.model_dump()


def ordinary(letters: int) -> Callable[[], str]:
    chooser = random.Random(1)
    return lambda: sender(chooser.randrange(letters // PER_SENDER))


def decisions(inbox: Arrivals, who: Callable[[], str], rounds: int = 2000) -> list[float]:
    """Lock, look and decide; the transaction is rolled back."""
    seconds = []
    inbox.change(repeat_period_days=30)
    with Session(inbox.context.database.engine) as session:
        mailbox = session.get_one(Mailbox, inbox.mailbox.id)
        session.expunge(mailbox)
        for _ in range(rounds):
            letter = Letter(
                user_id=inbox.mailbox.user_id,
                mailbox_id=inbox.mailbox.id or 0,
                identity=public_id(),
                received_at=at(-1),
                sender=who(),
                recipient="info@site.example",
            )
            session.add(letter)
            session.flush()
            began = time.perf_counter()
            decide_enquiries(session, mailbox, [letter])
            seconds.append(time.perf_counter() - began)
            session.rollback()
    return seconds


def arrivals(inbox: Arrivals) -> list[float]:
    seconds = []
    for number in range(300):
        fetched = inbox.fetched(simple(f"Message-ID: <bench-{number}@x.example>", body=f"{number} " * 500), number)
        began = time.perf_counter()
        inbox.take(fetched)
        seconds.append(time.perf_counter() - began)
    return seconds


def pages(inbox: Arrivals) -> Iterator[tuple[str, list[float]]]:
    """The list as its page reads it: the first page, one deep down, of one sender, and by a word that few letters have."""
    reader = inbox.mailbox.user_id
    with inbox.context.database.reading() as session:
        user = session.get_one(User, reader)
    deep = Cursor(NOON - timedelta(days=200), 0)
    for name, asked, after in (
        ("enquiries, first page", {}, None),
        ("enquiries, deep down", {}, deep),
        ("everything, first page", {"show": "letters"}, None),
        ("of one sender", {"sender": sender(7)}, None),
        ("with a word", {"q": "Chairs 777"}, None),
    ):
        chosen = LetterFilter.from_query(asked)
        yield name, [_page(inbox, user, chosen, after) for _ in range(20)]


def _page(inbox: Arrivals, user: User, chosen: LetterFilter, after: Cursor | None) -> float:
    began = time.perf_counter()
    with inbox.context.database.reading() as session:
        read_letters(session, user, chosen, after)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
