"""Prints what reading mail costs: `python -m tests.bench.inbound [--letters N]`. Figures, never asserted.

First load of N letters from a local Dovecot, with parsing and storing, beside mbsync (the best of three) on the same mailbox; a
poll of 100 mailboxes at one host without news; memory while a letter of 40 MB comes in. With `--mailboxes 1000` instead a round of
polls over so many mailboxes at 40 hosts: seconds, processor, statements and transactions.
"""

import argparse
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import col, func, select, update

from tests.bench.figures import add_figure
from tests.bench.ingest import bench_context
from tests.fixtures.contexts import People
from tests.fixtures.counts import counted as statements_of
from tests.inbound.mail_world import Post, fresh_address, letter, mailbox_on
from tests.servers import Dovecot, dovecot
from tests.servers.processes import free_port
from tracker.consent.preferences import set_preference
from tracker.inbound.accept import accept_all
from tracker.inbound.credentials import set_secret
from tracker.inbound.fetch.letter_importer import StoreLetters
from tracker.inbound.fetch.mailbox_runs import MailboxRuns
from tracker.inbound.fetch.schedule import claim_due
from tracker.inbound.fetch.sync import sync_mailbox
from tracker.models import Credential, Letter, Mailbox, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.interpreter import take_short_turns
from tracker.worker import GAP_SECONDS

PLAIN_SECRET = "plain-secret"
BODY = "How much are forty chairs, and when could they be here?\r\n" * 80
MAILBOXES = 100
MEGABYTE = 1024 * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--letters", type=int, default=10_000)
    parser.add_argument("--engine", choices=("sqlite", "postgresql"), action="append")
    parser.add_argument("--mailboxes", type=int, help="only a round of polls over so many")
    parser.add_argument("--hosts", type=int, default=40)
    words = parser.parse_args()
    take_short_turns()  # as a worker does
    if words.mailboxes:
        for engine in words.engine or ("sqlite", "postgresql"):
            quiet_round(engine, words.mailboxes, words.hosts)
        return
    with dovecot() as server:
        address = filled(server, words.letters)
        copied, size = min(mbsync(server, address) for _ in range(3))
        print(f"{words.letters:,} letters of {size / words.letters / 1024:.1f} KB, {size / MEGABYTE:.0f} MB in all\n")
        print("| | seconds | letters per second |\n|---|---|---|")
        print(f"| mbsync | {copied:.1f} | {words.letters / copied:,.0f} |", flush=True)
        for engine in words.engine or ("sqlite", "postgresql"):
            with bench_context(engine) as context:
                user = People(context).user()
                seconds, processor = first_load(context, user, server, address, words.letters)
                add_figure(
                    f"Reading, {engine}: first load, beside mbsync",
                    words.letters / seconds,
                    "letters a second",
                    ratio=copied / seconds,
                    at_least=0.6,
                )
                print(
                    f"| Inkling, {engine} | {seconds:.1f} | {words.letters / seconds:,.0f} | {processor:.1f} s of processor",
                    flush=True,
                )
                polls(context, user, server)
        with bench_context("sqlite") as context:
            large(context, People(context).user(), server)


def filled(server: Dovecot, letters: int) -> str:
    """A mailbox with so many letters of today, put straight into its Maildir."""
    address = fresh_address("bench")
    server.add_user(address, PLAIN_SECRET)
    server.append(address, letter("first", body=BODY))
    home = server.folder / "home" / address / "Maildir" / "cur"
    (first,) = [path for part in ("new", "cur") for path in (home.parent / part).iterdir()]
    owner = first.stat()
    for number in range(1, letters):
        path = home / f"{int(time.time())}.M{number}.bench:2,"
        body = f"This is offer {number}.\r\n{BODY}"
        path.write_bytes(
            letter(f"Offer {number}", f"Client {number} <client{number % 3000}@client.example>", body=body)
        )
        shutil.chown(path, owner.st_uid, owner.st_gid)
    return address


def mbsync(server: Dovecot, address: str) -> tuple[float, int]:
    """Seconds that mbsync takes to copy the mailbox into a Maildir, and the bytes of it."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder)
        (target / "copy").mkdir()
        (target / "mbsyncrc").write_text(
            f"IMAPAccount bench\nHost 127.0.0.1\nPort {server.imap_port}\nUser {address}\nPass {PLAIN_SECRET}\n"
            "SSLType None\nAuthMechs PLAIN\n\nIMAPStore far\nAccount bench\n\n"
            f"MaildirStore near\nInbox {target}/copy/INBOX\n\n"
            f"Channel bench\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState *\n"
        )
        began = time.perf_counter()
        subprocess.run(["mbsync", "-q", "-c", target / "mbsyncrc", "-a"], check=True)
        seconds = time.perf_counter() - began
        return seconds, sum(path.stat().st_size for path in (target / "copy").rglob("*") if path.is_file())


def sync_due(context: AppContext, take: StoreLetters) -> int:
    """Reads one mailbox that is due, here and now. Returns how many that were."""
    claim = claim_due(context)
    if claim is None:
        return 0
    sync_mailbox(context, claim, take)
    return 1


def first_load(context: AppContext, user: User, server: Dovecot, address: str, letters: int) -> tuple[float, float]:
    post = _mailbox(context, user, server, address)
    began, worked = time.perf_counter(), time.process_time()
    while len_of(post) < letters and sync_due(context, accept_all):
        pass
    seconds = time.perf_counter() - began
    assert len_of(post) == letters, (len_of(post), post.mailbox)
    post.change(due_at=None)
    return seconds, time.process_time() - worked


def len_of(post: Post) -> int:
    with post.context.database.reading() as session:
        count = select(func.count()).select_from(Letter).where(Letter.mailbox_id == post.mailbox_id)
        return session.exec(count).one()


def _mailbox(context: AppContext, user: User, server: Dovecot, address: str, host: str = "127.0.0.1") -> Post:
    post = mailbox_on(context, user, server, address)
    with context.database.session_scope() as session:
        credential = session.get_one(Credential, post.mailbox.credential_id)
        set_secret(context, credential, PLAIN_SECRET)
        credential.host = host
        session.add(credential)
    return post


def polls(context: AppContext, user: User, server: Dovecot) -> None:
    """A hundred mailboxes, each with ten letters that are known already."""
    with context.database.session_scope() as session:
        set_preference(session, "mailbox_limit", 1000)
    posts = []
    with counted(server) as line:
        for number in range(MAILBOXES):
            address = fresh_address(f"poll{number}")
            server.add_user(address, PLAIN_SECRET)
            server.append(address, letter("known"), received_at=now())
            posts.append(_mailbox(context, user, line.server, address))
        while sync_due(context, accept_all):
            pass
        _all_due(context)
        line.bytes = 0
        began = time.perf_counter()
        pool = MailboxRuns(accept_all)
        while any(post.mailbox.due_at is not None and post.mailbox.due_at <= now() for post in posts[-3:]) or pool.busy:
            pool(context)
            time.sleep(0.05)
        seconds = time.perf_counter() - began
    print(
        f"\n100 mailboxes without news: {seconds:.1f} s, {line.bytes / MAILBOXES / 1024:.1f} KB each on the line\n",
        flush=True,
    )


def quiet_round(engine: str, mailboxes: int, hosts: int) -> None:
    """All of them due at once, twenty to a person, as often as not at the same host; nothing has come to any."""
    addresses = [f"127.0.0.{number + 1}" for number in range(hosts)]
    with dovecot(addresses=addresses) as server, bench_context(engine) as context:
        with context.database.session_scope() as session:
            set_preference(session, "mailbox_limit", 1000)
        people = [People(context).user(f"Reader{number}") for number in range(mailboxes // 20 + 1)]
        for number in range(mailboxes):
            address = fresh_address(f"quiet{number}")
            server.add_user(address, PLAIN_SECRET)
            _mailbox(context, people[number // 20], server, address, addresses[number % hosts])
        pool = MailboxRuns(accept_all)
        _until_read(context, pool)
        _all_due(context)
        began, worked = time.perf_counter(), time.process_time()
        with statements_of(context) as counts:
            _until_read(context, pool)
        seconds, processor = time.perf_counter() - began, time.process_time() - worked
    each = ", ".join(f"{counts[kind] / mailboxes:.1f} {kind}" for kind in ("statements", "writing", "reading"))
    print(
        f"{engine}: {mailboxes:,} mailboxes at {hosts} hosts without news: {seconds:.1f} s, {processor:.1f} s of processor",
        end="",
    )
    print(f" ({1000 * processor / mailboxes:.1f} ms a mailbox: {each})", flush=True)
    row = f"Reading, {engine}: {mailboxes:,} mailboxes at {hosts} hosts without news"
    add_figure(row, seconds, "s", at_most=60 * mailboxes / 1000)
    share = 100 * processor / max(seconds, 60 * mailboxes / 1000)
    add_figure(f"{row}, of a core in a minute for a thousand", share, "%", at_most=20)


def _until_read(context: AppContext, pool: MailboxRuns) -> None:
    while _is_any_due(context) or pool.busy:
        pool(context)
        time.sleep(GAP_SECONDS)


def _is_any_due(context: AppContext) -> bool:
    with context.database.reading() as session:
        return session.exec(select(Mailbox.id).where(col(Mailbox.due_at) <= now()).limit(1)).first() is not None


def _all_due(context: AppContext) -> None:
    with context.database.session_scope() as session:
        session.exec(update(Mailbox).where(col(Mailbox.due_at).is_not(None)).values(due_at=now()))


def large(context: AppContext, user: User, server: Dovecot) -> None:
    """The most memory while a letter of 40 MB, and one larger than is loaded, come in."""
    address = fresh_address("large")
    server.add_user(address, PLAIN_SECRET)
    piece = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVowMTIzNDU2Nzg5QUJDREVGR0hJSktMTU5PUFFSU1Q=\r\n"
    body = "--b\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--b\r\nContent-Type: application/pdf\r\n"
    body += "Content-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=plan.pdf\r\n\r\n"
    body += piece * (39 * MEGABYTE // len(piece)) + "--b--\r\n"
    raw = letter("plan", body=body, Content_Type='multipart/mixed; boundary="b"')
    server.append(address, raw, received_at=now())
    size = len(raw)
    del raw, body
    post = _mailbox(context, user, server, address)
    idle = _resident()
    with watched() as most:
        while sync_due(context, accept_all):
            pass
    assert len(post.letters()) == 1
    add_figure(f"Reading: memory of a letter of {size / MEGABYTE:.0f} MB", most.megabytes - idle, "MB")
    print(f"A letter of {size / MEGABYTE:.0f} MB: {most.megabytes - idle:.0f} MB of memory over idle ({idle:.0f} MB)")


@dataclass
class Most:
    megabytes: float = 0.0


@contextmanager
def watched() -> Iterator[Most]:
    """The highest resident size while the block runs, looked at every few milliseconds."""
    most, over = Most(), threading.Event()

    def look() -> None:
        while not over.is_set():
            most.megabytes = max(most.megabytes, _resident())
            over.wait(0.005)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / MEGABYTE


@dataclass
class CountedLine:
    """Stands between us and Dovecot and counts what passes."""

    server: Dovecot
    bytes: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def carry(self, source: socket.socket, target: socket.socket) -> None:
        try:
            while piece := source.recv(65_536):
                with self.lock:
                    self.bytes += len(piece)
                target.sendall(piece)
        except OSError:
            pass
        finally:
            target.close()


@contextmanager
def counted(server: Dovecot) -> Iterator[CountedLine]:
    port = free_port()
    listener = socket.create_server(("127.0.0.1", port))
    line = CountedLine(
        Dovecot(server.folder, port, server.imaps_port, server.pop3_port, server.pop3s_port, server.owner)
    )

    def serve() -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", server.imap_port))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=line.carry, args=pair, daemon=True).start()

    threading.Thread(target=serve, daemon=True).start()
    try:
        yield line
    finally:
        listener.close()


if __name__ == "__main__":
    main()
