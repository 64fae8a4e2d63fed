"""`inkling check`: settings, keys, database, spool, tracking host; exit code 1 when something is wrong. And `migrate`."""

import argparse
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import dataclass

import httpx
from sqlalchemy.exc import DBAPIError
from sqlmodel import col, select

from pixel.spool import SpoolError, SpoolReader, damaged_files, spool_paths
from tracker.commands.contexts import new_context
from tracker.commands.keys import missing_keys, missing_sentence
from tracker.consent.audit import broken_chains, ledger_length
from tracker.consent.preferences import operator_ceiling, workspace_pack
from tracker.mail.addresses import domain_of
from tracker.models import Account, Mailbox, MailboxState
from tracker.outbound.host_health import problem_of
from tracker.outbound.sending_domain.records import advice_for
from tracker.outbound.sending_domain.sending_services import link_rewriter
from tracker.runtime.context import AppContext
from tracker.runtime.database import NewerDatabase, now
from tracker.runtime.processes import GONE_AFTER, Process
from tracker.runtime.settings import read_settings


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``ok`` None means: could not be looked at, or worth knowing."""

    what: str
    ok: bool | None
    text: str


def check(_words: argparse.Namespace) -> int:
    """Prints one line per finding."""
    settings = read_settings()
    context = new_context(settings)
    findings = [
        Finding("settings", True, f"data in {settings.data_dir}"),
        Finding("keys", True, f"{len(context.keyring.keys)} in the ring"),
        *_database(context),
    ]
    if findings[-1].ok and (missing := missing_keys(context)):
        findings[1] = Finding("keys", False, missing_sentence(settings, missing))
    in_database = (_policy, _consent, _accounts, _mailboxes, _rewriters, _domains, _worker) if findings[-1].ok else ()
    for look in (*in_database, _spool, _remote_edges, _tracking_host):
        findings += look(context)
    for finding in findings:
        mark = {True: "ok", False: "WRONG", None: "note"}[finding.ok]
        print(f"{mark:6}{finding.what}: {finding.text}")
    context.database.close()
    return 1 if any(finding.ok is False for finding in findings) else 0


def migrate(_words: argparse.Namespace) -> int:
    """Brings the database to the newest revision, whichever it is."""
    database = new_context(read_settings()).database
    try:
        database.migrate()
        print(f"The database is at revision {database.revision()[0]}.")
    finally:
        database.close()
    return 0


def _database(context: AppContext) -> list[Finding]:
    try:
        if context.database.is_sqlite:
            context.database.migrate()
        here, newest = context.database.revision()
        if context.database.is_newer():
            raise NewerDatabase
    except DBAPIError as error:
        return [Finding("database", False, " ".join(str(error.orig).split()))]
    except NewerDatabase as error:
        return [Finding("database", False, str(error))]
    if here is None:
        return [Finding("database", False, "is empty. Run: inkling migrate")]
    if here != newest:
        return [Finding("database", False, f"is at revision {here}, this version needs {newest}. Run: inkling migrate")]
    return [Finding("database", True, f"{'SQLite' if context.database.is_sqlite else 'PostgreSQL'}, revision {here}")]


def _policy(context: AppContext) -> list[Finding]:
    """A policy that was chosen before the ceiling was set still stands in the database, and is lowered wherever it is used."""
    with context.database.reading() as session:
        chosen = workspace_pack(session)
    in_force = operator_ceiling(context).lowered(chosen)
    if in_force == chosen:
        return [Finding("consent policy", True, chosen.value)]
    text = f"“{chosen}” was chosen and lies above INKLING_TRACKING_CEILING; “{in_force}” is in force. Choose it in the settings too"
    return [Finding("consent policy", None, text)]


def _consent(context: AppContext) -> list[Finding]:
    """Every chain of the ledger. Nobody is named by address: the output may end in a log or a ticket."""
    with context.database.reading() as session:
        count = ledger_length(session)
        broken = [f"recipient {public_id}, entry {number}" for public_id, number in broken_chains(session)]
    if broken:
        more = f" and {len(broken) - 10} more" if len(broken) > 10 else ""
        return [Finding("consent ledger", False, f"was changed: {'; '.join(broken[:10])}{more}")]
    return [Finding("consent ledger", True, f"every chain is whole ({count} entries)")]


def _accounts(context: AppContext) -> list[Finding]:
    with context.database.reading() as session:
        accounts = session.exec(select(Account).where(col(Account.removed_at).is_(None))).all()
    return [
        Finding(f"account {a.address}", a.state not in ("broken", "needs_sign_in"), a.state_detail or a.state)
        for a in accounts
    ]


def _mailboxes(context: AppContext) -> list[Finding]:
    """How reading each mailbox goes; one that was switched off is worth knowing."""
    with context.database.reading() as session:
        mailboxes = session.exec(select(Mailbox).where(col(Mailbox.removed_at).is_(None))).all()
    marks = {
        MailboxState.ACTIVE: True,
        MailboxState.CHECKING: None,
        MailboxState.PAUSED: None,
        MailboxState.THROTTLED: None,
    }
    return [
        Finding(
            f"mailbox {m.address}", marks.get(MailboxState(m.state), False), m.state_detail or m.run_problem or m.state
        )
        for m in mailboxes
    ]


def _rewriters(context: AppContext) -> list[Finding]:
    """Services that may put links of their own into what they send (a second redirect)."""
    with context.database.reading() as session:
        hosts = session.exec(select(Account.smtp_host).where(col(Account.removed_at).is_(None)).distinct()).all()
    text = "can rewrite links itself; switch its click and open tracking off"
    names = {name for name in map(link_rewriter, hosts) if name}
    return [Finding(f"service {name}", None, text) for name in sorted(names)]


def _domains(context: AppContext) -> list[Finding]:
    """DNS of the sending domains, each once. What could be better is a note; what is wrong is wrong."""
    with context.database.reading() as session:
        accounts = session.exec(select(Account).where(col(Account.removed_at).is_(None))).all()
    per_domain = {(domain_of(a.address), a.preset): a for a in accounts}
    marks = {"good": True, "bad": False}
    return [
        Finding(
            f"{advice.topic} of {domain}",
            marks.get(advice.grade),
            " ".join((advice.text, *(f"Publish {row.type} at {row.name}: {row.value}" for row in advice.publish))),
        )
        for (domain, _preset), account in sorted(per_domain.items())
        for advice in advice_for(context, account)
    ]


def _spool(context: AppContext) -> list[Finding]:
    spools = spool_paths(context.settings.data_dir)
    if not spools:
        return [Finding("spool", None, "none here yet; the edge makes it when it starts")]
    waiting, counts = 0, Counter[str]()
    for path in spools.values():
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
                waiting += connection.execute("SELECT count(*) FROM hit").fetchone()[0]
            with SpoolReader(path) as reader:
                counts.update(reader.counts())
        except (sqlite3.Error, SpoolError) as error:
            return [Finding("spool", False, f"{path} cannot be read: {error}")]
    damaged = [file for path in spools.values() for file in damaged_files(path)]
    return [
        *(Finding("spool", None, f"was damaged; what it held lies in {file}") for file in damaged),
        Finding("spool", True, f"{waiting} hits wait to be taken in"),
        *_unwritten(
            "spool", counts.get("hits_lost", 0) - counts.get("hits_rescued", 0), counts.get("hits_over_budget", 0)
        ),
    ]


def _remote_edges(context: AppContext) -> list[Finding]:
    findings = []
    for url in context.settings.edge_urls:
        try:
            facts = httpx.get(f"{url}/healthz", timeout=5, verify=context.web_tls_context()).json()
            lost, over_budget = int(facts["lost"]) - int(facts["rescued"]), int(facts.get("over_budget", 0))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            findings.append(Finding(f"edge {url}", False, f"does not answer as an edge does ({type(error).__name__})"))
            continue
        findings.append(Finding(f"edge {url}", facts["status"] == "ok", facts["status"]))
        findings += _unwritten(f"edge {url}", lost, over_budget)
    return findings


def _unwritten(what: str, lost: int, over_budget: int) -> list[Finding]:
    """Hits that were answered and are not there: worth knowing, since figures are short of them."""
    notes = {
        lost: "hits were lost: the disk was full, or kept a write waiting for too long",
        over_budget: "hits were not written down: one address, one link or one copy had more than its budget",
    }
    return [Finding(what, None, f"{count} {text}") for count, text in notes.items() if count > 0]


def _worker(context: AppContext) -> list[Finding]:
    with context.database.reading() as session:
        processes = session.exec(select(Process)).all()
    if not processes:
        return [Finding("worker", None, "does not run")]
    problems = [
        Finding(f"worker, {task}", False, problem)
        for process in processes
        for task, problem in process.tasks.items()
        if problem
    ]
    age = now() - max(process.at for process in processes)
    text = f"last heard of {age.total_seconds():.0f} seconds ago"
    return problems or [Finding("worker", True if age < GONE_AFTER else None, text)]


def _tracking_host(context: AppContext) -> list[Finding]:
    """What the task looks at, and the pixel itself: something in front may let one through and not the other."""
    problem = problem_of(context)
    if problem:
        return [Finding("tracking host", False, problem)]
    url = f"{context.settings.tracking_url}/o/check.gif"
    try:
        answer = httpx.get(url, timeout=5, verify=context.web_tls_context())
    except httpx.HTTPError as error:
        return [Finding("tracking host", False, f"{url} does not answer ({type(error).__name__})")]
    if answer.status_code != 200 or answer.headers.get("content-type") != "image/gif":
        text = f"{url} gives {answer.status_code}, not the pixel; is something in front of it?"
        return [Finding("tracking host", False, text)]
    return [Finding("tracking host", True, context.settings.tracking_url)]
