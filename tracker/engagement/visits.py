"""What a website's visitors did, from the spool into rows: visits, pages, addresses shown. One transaction, its caller's.

Doubles are known by edge and number, as with hits. Neither address nor description of the browser is kept: what they say is kept as
words, at once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlmodel import Session, col, delete, select, update

from pixel.hits import Hit
from tracker.engagement.judge.client_names import client_name
from tracker.engagement.judge.known_agents import known_agent
from tracker.mail.addresses import lookup_or_none
from tracker.models import PageView, Site, SiteBlock, SiteLease, SiteRule, Visit
from tracker.models.counting.tables import in_list
from tracker.runtime.context import AppContext
from tracker.sites.attribution import code_of
from tracker.sites.letters import decide_unknown_again
from tracker.sites.notices import tell_exhausted, tell_vanished

_ROBOTS = frozenset({"empty", "crawler", "tool", "scanner", "preview", "mail_proxy", "mailru_proxy", "gmail_prefetch"})
VANISHED_AFTER = timedelta(hours=24)
VANISHED_VIEWS = 50
_MOST_ADDRESSES = 50
Key = tuple[int, str, str]


@dataclass
class _Batch:
    """What the rows of a batch refer to."""

    sites: Mapping[str, Site]
    rules: Mapping[str, SiteRule]
    visits: dict[Key, Visit]
    leases: dict[tuple[str, int], SiteLease]
    shown: list[tuple[str, datetime]] = field(default_factory=list)
    """Addresses that were not known before."""


def take_in_visits(session: Session, context: AppContext, edge: str, hits: Sequence[Hit]) -> None:
    """Stores what visitors did that was not stored before. What is about no site of ours is dropped. The caller commits."""
    if not hits:
        return
    numbers = [hit.id or 0 for hit in hits]
    seen = select(PageView.hit).where(PageView.edge == edge, in_list(session, col(PageView.hit), numbers))
    known = set(session.exec(seen))
    fresh = [hit for hit in hits if hit.id not in known and hit.body is not None]
    batch = _batch_of(session, fresh)
    fresh = [hit for hit in fresh if hit.token in batch.sites]
    for hit in fresh:
        if hit.kind == "visit":
            _visited(session, batch, edge, hit, batch.sites[hit.token], hit.body or {})
        else:
            _beacon(session, batch, hit, batch.sites[hit.token], hit.body or {})
    _note_blocks(session, batch, [hit for hit in fresh if hit.kind == "visit"])
    if batch.shown:
        decide_unknown_again(session, [address for address, _ in batch.shown], min(at for _, at in batch.shown))


def _batch_of(session: Session, hits: Sequence[Hit]) -> _Batch:
    keys = {hit.token for hit in hits}
    sites = {site.key: site for site in session.exec(select(Site).where(in_list(session, col(Site.key), keys)))}
    names = {str(hit.body.get("rule")) for hit in hits if hit.body and hit.body.get("rule")}
    rules = {
        r.public_id: r for r in session.exec(select(SiteRule).where(in_list(session, col(SiteRule.public_id), names)))
    }
    visitors = {hit.delivery for hit in hits}
    visits = list(session.exec(select(Visit).where(in_list(session, col(Visit.visitor), visitors))))
    ids = [visit.id for visit in visits]
    leases = session.exec(select(SiteLease).where(in_list(session, col(SiteLease.visit_id), ids)))
    return _Batch(
        sites=sites,
        rules=rules,
        visits={(visit.site_id, visit.visitor, visit.session): visit for visit in visits},
        leases={(lease.address, lease.visit_id): lease for lease in leases},
    )


def _visited(session: Session, batch: _Batch, edge: str, hit: Hit, site: Site, body: Mapping[str, Any]) -> None:
    key = (site.id, hit.delivery, _text(body, "session", 64))
    visit = batch.visits.get(key)
    if visit is None:
        visit = batch.visits[key] = _begun(site, hit, body, key)
        session.add(visit)
        session.flush()
    rule = batch.rules.get(str(body.get("rule")))
    exhausted = body.get("exhausted") or []
    visit.seen_at, visit.page, visit.pages = (
        max(visit.seen_at, hit.received_at),
        _text(body, "page", 1024),
        visit.pages + 1,
    )
    if rule is not None:
        visit.covered = not exhausted and (visit.covered or visit.rule_id != rule.id)
        visit.rule_id = rule.id
    session.add(visit)
    session.add(PageView(visit_id=visit.id, edge=edge, hit=hit.id or 0, at=hit.received_at, page=visit.page))
    for shown in body.get("shown") or ():
        if isinstance(shown, Mapping) and shown.get("pool"):
            _leased(session, batch, visit, rule, hit, shown)
    if rule is not None and exhausted and not visit.robot:
        tell_exhausted(session, rule)
    _note_addresses(session, site, body)


def _begun(site: Site, hit: Hit, body: Mapping[str, Any], key: Key) -> Visit:
    agent = hit.headers.get("user-agent", "")
    return Visit(
        user_id=site.user_id,
        site_id=site.id,
        visitor=key[1][:64],
        session=key[2],
        number=_number(body, "number", 1),
        began_at=hit.received_at,
        seen_at=hit.received_at,
        source=_source(body.get("source")),
        attributed=_source(body.get("attributed")),
        marks=_texts(body.get("marks")),
        referrer=_text(body, "referrer", 1024),
        phrase=_text(body, "phrase", 300),
        entrance_page=_text(body, "page", 1024),
        page=_text(body, "page", 1024),
        device=_text(body, "device", 16),
        client=client_name(hit.headers)[:100],
        screen=_text(body, "screen", 16),
        language=_text(body, "language", 35),
        timezone=_text(body, "timezone", 64),
        robot=body.get("robot") is True or known_agent(agent).role in _ROBOTS,
    )


def _leased(
    session: Session, batch: _Batch, visit: Visit, rule: SiteRule | None, hit: Hit, shown: Mapping[str, Any]
) -> None:
    address = lookup_or_none(str(shown.get("address", "")))
    if address is None:
        return
    until = _moment(shown.get("until"), hit.received_at)
    lease = batch.leases.get((address, visit.id))
    if lease is None:
        lease = batch.leases[(address, visit.id)] = SiteLease(
            address=address,
            code=code_of(address)[:64],
            pool=str(shown.get("pool"))[:64],
            block=str(shown.get("block", ""))[:16],
            visit_id=visit.id,
            rule_id=rule.id if rule else None,
            shown_at=hit.received_at,
            seen_at=hit.received_at,
            until=until,
        )
        batch.shown.append((address, hit.received_at))
    lease.seen_at, lease.until = max(lease.seen_at, hit.received_at), max(lease.until, until)
    session.add(lease)
    session.flush()


def _beacon(session: Session, batch: _Batch, hit: Hit, site: Site, body: Mapping[str, Any]) -> None:
    """A click, a copy, a sign of life; or consent that was taken back, and then nothing of the visitor stays."""
    kind, site_id = body.get("kind"), site.id
    if kind == "withdrawal":
        session.exec(delete(Visit).where(col(Visit.site_id) == site_id, col(Visit.visitor) == hit.delivery))
        for key in [key for key in batch.visits if key[:2] == (site_id, hit.delivery)]:
            del batch.visits[key]
        return
    visit = batch.visits.get((site_id, hit.delivery, _text(body, "session", 64)))
    if visit is None:
        return
    visit.approved, visit.seen_at = True, max(visit.seen_at, hit.received_at)
    session.add(visit)
    address = lookup_or_none(str(body.get("address", "")))
    lease = batch.leases.get((address or "", visit.id))
    if lease is not None:
        lease.seen_at = max(lease.seen_at, hit.received_at)
        if kind in ("click", "copy"):
            lease.intent_at = lease.intent_at or hit.received_at
        session.add(lease)


def _note_blocks(session: Session, batch: _Batch, hits: Sequence[Hit]) -> None:
    """Which blocks the pages have, as the snippet saw it. One that is on no page for a day is told of once."""
    looked = [hit for hit in hits if isinstance((hit.body or {}).get("matched"), list)]
    owners = {batch.sites[hit.token].user_id for hit in looked}
    blocks = select(SiteBlock).where(col(SiteBlock.user_id).in_(owners), col(SiteBlock.removed_at).is_(None))
    for block in session.exec(blocks).all() if owners else ():
        pages = [hit for hit in looked if batch.sites[hit.token].public_id in block.sites]
        if pages:
            _note_block(session, block, pages)


def _note_block(session: Session, block: SiteBlock, hits: Sequence[Hit]) -> None:
    for hit in hits:
        if any(selector in block.selectors for selector in (hit.body or {}).get("matched", ())):
            block.seen_at, block.views_since, block.is_error = hit.received_at, 0, False
        else:
            block.views_since += 1
    last = hits[-1].received_at
    if (
        block.views_since >= VANISHED_VIEWS
        and last - (block.seen_at or block.created_at) >= VANISHED_AFTER
        and not block.is_error
    ):
        block.is_error = True
        tell_vanished(session, block)
    session.add(block)


def _note_addresses(session: Session, site: Site, body: Mapping[str, Any]) -> None:
    """Addresses that stand on the pages, for “find in the code”: each with the page where it was seen first."""
    listed = [
        address for address in body.get("addresses") or () if isinstance(address, str) and lookup_or_none(address)
    ]
    new = [mail_address for mail_address in listed if mail_address not in {address for address, _ in site.addresses}]
    if new:
        site.addresses = [*site.addresses, *([address, _text(body, "page", 300)] for address in new)][-_MOST_ADDRESSES:]
        session.execute(update(Site).where(col(Site.id) == site.id).values(addresses=site.addresses))


def _source(value: Any) -> dict[str, str]:
    made = _texts(value)
    return {name: made.get(name, "") for name in ("id", "name", "channel", "group")} if made else {}


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {str(name)[:40]: str(text)[:300].replace("\0", "") for name, text in list(value.items())[:40]}


def _text(body: Mapping[str, Any], name: str, longest: int) -> str:
    value = body.get(name)
    return value.replace("\0", "")[:longest] if isinstance(value, str) else ""


def _number(body: Mapping[str, Any], name: str, default: int) -> int:
    value = body.get(name)
    return value if isinstance(value, int) and 0 < value < 2**31 else default


def _moment(value: Any, default: datetime) -> datetime:
    if not isinstance(value, int) or not 0 < value < 32_503_680_000_000:
        return default
    return datetime.fromtimestamp(value / 1000, UTC)
