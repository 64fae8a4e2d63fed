"""Publishing: what the edges know of sites, as one snapshot each.

The edge on our own data folder reads a file there; edges on other machines are handed theirs over HTTP with the drain key. A
change is in force at the one before whoever made it hears so, at the others as soon as the worker has told them.
"""

import hashlib
import json
import logging
from datetime import datetime, timedelta
from typing import Any

import httpx
from sqlalchemy import event
from sqlmodel import Session, col, select

from pixel.site_codes import ALPHABET
from pixel.site_rules import DAY_MINUTES, FORMAT
from tracker.models import Mailbox, Site, SiteBlock, SiteEdge, SiteRule, SiteSource, User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.sites.hosts import KNOWN_DETOURS
from tracker.sites.notices import tell_of_rules

log = logging.getLogger(__name__)

LOCAL = "local"
SNAPSHOT_FILE = "sites.json"
RETRY_SECONDS = 5.0
LOOK_AGAIN = timedelta(minutes=10)
"""An edge is told again after so long in any case: it may have lost its file."""
_PENDING = "sites_to_publish"
MANUAL_LEASE = 1440
"""Minutes that an address of a short list stays with a visitor, unless the rule says otherwise."""


def publish_after_commit(session: Session, context: AppContext) -> None:
    """When this transaction has committed, and before whoever asked for it hears so, the edge beside us follows it."""
    if session.info.get(_PENDING):
        return
    session.info[_PENDING] = True

    def publish(_session: Any) -> None:
        session.info[_PENDING] = False
        publish_here(context)

    event.listen(session, "after_commit", publish, once=True)


def publish_here(context: AppContext) -> None:
    """Writes the file that the edge on this data folder reads, where it would be another."""
    with context.database.reading() as session:
        edges = edge_letters(session, context)
        body = snapshot(session, edges, LOCAL)
    path = context.settings.data_dir / SNAPSHOT_FILE
    digest = _digest(body)
    try:
        known = path.read_bytes() if path.exists() else b""
        if not known or _digest(known) != digest:
            write_file(path, body)
    except OSError as error:
        log.error("the sites could not be published: %s", error)


def publish_due(context: AppContext) -> int:
    """Tells every edge that does not know the newest yet. Returns 0: there is never more at once."""
    publish_here(context)
    tell_of_rules(context)
    for name in context.settings.edge_urls:
        _tell(context, name)
    return 0


def next_due(session: Session) -> datetime | None:
    """When the next edge has to be told again."""
    published_at = session.exec(select(SiteEdge.published_at).where(SiteEdge.problem != "")).first()
    return published_at + timedelta(seconds=RETRY_SECONDS) if published_at is not None else None


def _tell(context: AppContext, name: str) -> None:
    with context.database.session_scope() as session:
        edges = edge_letters(session, context)
        row = session.get(SiteEdge, name) or SiteEdge(name=name, letter=edges[name])
        body = snapshot(session, edges, name)
        digest = _digest(body)
        if row.digest == digest and row.published_at is not None and row.published_at > now() - LOOK_AGAIN:
            return
        session.add(row)
    problem = _put(context, name, body)
    with context.database.session_scope() as session:
        row = session.get_one(SiteEdge, name)
        row.published_at, row.problem = now(), problem
        row.digest = "" if problem else digest
        session.add(row)
    if problem:
        log.warning("the edge %s could not be told of the sites: %s", name, problem)


def _put(context: AppContext, name: str, body: bytes) -> str:
    headers = {"Authorization": f"Bearer {context.settings.drain_key or ''}", "Content-Type": "application/json"}
    try:
        httpx.put(f"{name}/snapshot", content=body, headers=headers, timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        return type(error).__name__
    return ""


def write_file(path: Any, body: bytes) -> None:
    """Replaces it at once: who reads sees the old one or the new one."""
    draft = path.with_name(f"{path.name}.new")
    draft.touch(mode=0o600)
    draft.write_bytes(body)
    draft.replace(path)


def _digest(body: bytes) -> str:
    """Of what is told, whenever it is told."""
    document = json.loads(body)
    document.pop("version")
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def edge_letters(session: Session, context: AppContext) -> dict[str, str]:
    """The first character of each edge's codes: the one on our own folder has the first letter, the others in their order, each
    for ever."""
    stored = {row.name: row.letter for row in session.exec(select(SiteEdge))}
    letters = {LOCAL: ALPHABET[0]}
    free = [letter for letter in ALPHABET[1:] if letter not in stored.values()]
    for name in context.settings.edge_urls:
        letters[name] = stored.get(name) or free.pop(0)
    return letters


def snapshot(session: Session, edges: dict[str, str], name: str) -> bytes:
    """Everything one edge knows, as it is read: see :mod:`pixel.site_rules`."""
    names = list(edges)
    made = {
        "format": FORMAT,
        "version": round(now().timestamp() * 1000),
        "edge": edges[name],
        "share": [names.index(name), len(names)],
        "sites": [site_facts(session, site) for site in session.exec(_all(Site))],
    }
    return json.dumps(made, separators=(",", ":")).encode()


def _all(model: Any) -> Any:
    return select(model).where(col(model.removed_at).is_(None)).order_by(col(model.id))


def site_facts(session: Session, site: Site, vouched: str = "") -> dict[str, Any]:
    """What decides what this site's visitors see. The rule with the id ``vouched`` counts as active, for a preview."""
    user = session.get_one(User, site.user_id)
    blocks = [block for block in session.exec(_of(SiteBlock, user)) if site.public_id in block.sites]
    sources = session.exec(_of(SiteSource, user).order_by(None).order_by(col(SiteSource.position))).all()
    rules = session.exec(_of(SiteRule, user).order_by(None).order_by(col(SiteRule.position), col(SiteRule.id))).all()
    mailboxes = {mailbox.public_id: mailbox for mailbox in session.exec(_of(Mailbox, user)) if mailbox.active}
    here = {block.public_id for block in blocks}
    active = [rule for rule in rules if rule.state == "active" or rule.public_id == vouched]
    return {
        "key": site.key,
        "owner": user.public_id,
        "hosts": site.hosts,
        "session_minutes": site.session_minutes,
        "cookie_days": site.cookie_days,
        "attribution": site.attribution,
        "consent_mode": site.consent_mode,
        "ignore_robots": site.ignore_robots,
        "ignored_referrers": sorted({*KNOWN_DETOURS, *site.ignored_referrers}),
        "sources": [
            {"id": s.public_id, "name": s.name, "channel": s.channel, "group": s.group, "conditions": s.conditions}
            for s in sources
        ],
        "blocks": [{"id": block.public_id, "selectors": block.selectors} for block in blocks],
        "rules": [facts for rule in active if (facts := _rule_facts(rule, here, mailboxes)) is not None],
    }


def _of(model: Any, user: User) -> Any:
    return _all(model).where(model.user_id == user.id)


def _rule_facts(rule: SiteRule, here: set[str], mailboxes: dict[str, Mailbox]) -> dict[str, Any] | None:
    """None for a rule that shows nothing on this site: its blocks are elsewhere, or its mailboxes are switched off."""
    lines = [
        {
            "blocks": blocks,
            "address": line["address"] or mailboxes[line["email_account"]].address,
            "source": line["source"],
        }
        for line in rule.static_settings
        if line["email_account"] in mailboxes and (blocks := [b for b in line["blocks"] if b in here])
    ]
    pools = [
        {
            "id": pool_id(rule, number),
            "blocks": blocks,
            "base": mailboxes[pool["email_account"]].address.lower(),
            "addresses": pool["addresses"],
        }
        for number, pool in enumerate(rule.dynamic_settings)
        if pool["email_account"] in mailboxes and (blocks := [b for b in pool["blocks"] if b in here])
    ]
    if rule.rule_type != "site_emails" or not (lines or pools):
        return None
    return {
        "id": rule.public_id,
        "substitution": rule.substitution_type or "",
        "sources": rule.sources if rule.traffic_type == "custom_sources" and rule.tracking_type == "dynamic" else None,
        "static": lines,
        "dynamic": pools,
        "lease_minutes": lease_minutes(rule),
        "rest_minutes": rule.rest_days * DAY_MINUTES,
    }


def pool_id(rule: SiteRule, number: int) -> str:
    """Where the leases of a pool are counted: it keeps its name while the rule is changed."""
    return f"{rule.public_id}:{number}"


def lease_minutes(rule: SiteRule) -> int:
    if rule.lease_minutes is not None:
        return rule.lease_minutes
    return MANUAL_LEASE if rule.substitution_type == "manual_pool" else 7 * DAY_MINUTES
