"""The published configuration of sites, and which rule a visit gets. Pure: the edge answers by it, the product previews by it.

A snapshot is plain JSON that the tracker publishes and the edge reads; :func:`read_snapshot` makes it quick to ask.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from pixel.source_conditions import Compile, CustomSource, read_conditions
from pixel.visit_sources import Source

FORMAT = 1
DAY_MINUTES = 1440
_MOST_CACHED = 2_000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Block:
    """Where addresses stand on the pages: ``email`` selectors name an address, the others take elements."""

    id: str
    selectors: tuple[tuple[str, str], ...]

    @property
    def elements(self) -> list[tuple[str, str]]:
        return [pair for pair in self.selectors if pair[0] != "email"]


@dataclass(frozen=True, slots=True)
class StaticLine:
    """A real address for one source, group or channel; ``source`` None is all other traffic."""

    blocks: tuple[str, ...]
    address: str
    source: str | None


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses of one's own for each visitor, over some blocks. ``id`` is where its leases are counted."""

    id: str
    blocks: tuple[str, ...]
    base: str
    addresses: tuple[str, ...] = ()


Substitution = Literal["", "auto_generation", "auto_short", "manual_pool"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule of a site, active. ``sources`` None is all traffic."""

    id: str
    substitution: Substitution
    sources: frozenset[str] | None
    lines: tuple[StaticLine, ...] = ()
    pools: tuple[Pool, ...] = ()
    lease_minutes: int = 7 * DAY_MINUTES
    rest_minutes: int = 7 * DAY_MINUTES

    @property
    def leases(self) -> bool:
        """Whether its addresses go from one visitor to another."""
        return self.substitution in ("auto_short", "manual_pool")


@dataclass(frozen=True, slots=True)
class PublishedSite:
    """A site with everything that decides what its visitors see, in the order that decides."""

    key: str
    owner: str
    hosts: frozenset[str]
    session_minutes: int
    cookie_days: int
    last_non_direct: bool
    consent_mode: bool
    ignore_robots: bool
    ignored_referrers: frozenset[str]
    sources: tuple[CustomSource, ...]
    blocks: Mapping[str, Block]
    rules: tuple[Rule, ...]
    order: Mapping[str, int]
    """The blocks' places: of two that claim one element the first wins."""
    cache: "dict[tuple[str | None, Source], Any]" = field(default_factory=dict, compare=False, repr=False)
    """What was worked out for a source before: its rule, and what a rule shows to it."""

    @property
    def leases(self) -> bool:
        """Whether any of its rules leases addresses of a pool."""
        return any(rule.leases for rule in self.rules)


@dataclass(frozen=True)
class Snapshot:
    """Everything an edge knows. ``edge`` is the first character of its codes; ``part`` of ``parts`` its share of every pool."""

    version: int
    edge: str
    part: int
    parts: int
    sites: Mapping[str, PublishedSite]

    def site_at(self, key: str, host: str) -> PublishedSite | None:
        """The site of a key, at a host of its own; a sub-domain is the site's unless another site of the same owner lists it."""
        site = self.sites.get(key)
        if site is None or _best(site, host) == 0:
            return None
        own = _best(site, host)
        rivals = (other for other in self.sites.values() if other.owner == site.owner and other.key != key)
        return site if all(_best(other, host) <= own for other in rivals) else None


def _best(site: PublishedSite, host: str) -> int:
    """The length of the longest host of the site that is, or stands above, this host."""
    return max((len(own) for own in site.hosts if host == own or host.endswith(f".{own}")), default=0)


EMPTY = Snapshot(version=0, edge="a", part=0, parts=1, sites={})


def read_snapshot(made: Mapping[str, Any], compile_pattern: Compile) -> Snapshot:
    """Raises ValueError, KeyError or TypeError for what is no snapshot of this format."""
    if made["format"] != FORMAT:
        raise ValueError("a snapshot of another format")
    sites = (_site(each, compile_pattern) for each in made["sites"])
    part, parts = made["share"]
    return Snapshot(int(made["version"]), str(made["edge"]), int(part), int(parts), {site.key: site for site in sites})


def _site(made: Mapping[str, Any], compile_pattern: Compile) -> PublishedSite:
    blocks = [Block(b["id"], tuple((s["attribute"], s["value"]) for s in b["selectors"])) for b in made["blocks"]]
    return PublishedSite(
        key=made["key"],
        owner=made["owner"],
        hosts=frozenset(made["hosts"]),
        session_minutes=made["session_minutes"],
        cookie_days=made["cookie_days"],
        last_non_direct=made["attribution"] == "last_non_direct",
        consent_mode=made["consent_mode"],
        ignore_robots=made["ignore_robots"],
        ignored_referrers=frozenset(made["ignored_referrers"]),
        sources=tuple(custom_source(each, compile_pattern) for each in made["sources"]),
        blocks={block.id: block for block in blocks},
        rules=tuple(_rule(each) for each in made["rules"]),
        order={block.id: place for place, block in enumerate(blocks)},
    )


def custom_source(made: Mapping[str, Any], compile_pattern: Compile) -> CustomSource:
    """Raises ValueError, KeyError or TypeError."""
    source = Source(made["id"], made["name"], made["channel"], made.get("group") or "")
    return CustomSource(source, read_conditions(made.get("conditions"), compile_pattern))


def _rule(made: Mapping[str, Any]) -> Rule:
    lines = [StaticLine(tuple(line["blocks"]), line["address"], line["source"]) for line in made["static"]]
    pools = [
        Pool(pool["id"], tuple(pool["blocks"]), pool["base"], tuple(pool["addresses"])) for pool in made["dynamic"]
    ]
    return Rule(
        id=made["id"],
        substitution=made["substitution"],
        sources=None if made["sources"] is None else frozenset(made["sources"]),
        lines=tuple(lines),
        pools=tuple(pools),
        lease_minutes=made["lease_minutes"],
        rest_minutes=made["rest_minutes"],
    )


# --- which rule, and what it shows


def levels(source: Source, custom: Iterable[CustomSource]) -> dict[str, int]:
    """Every id that stands for this source, with how closely: 3 itself, 2 its group, 1 its channel."""
    ids = {f"channel:{source.channel}": 1, source.id: 3}
    if source.group:
        ids[f"group:{source.channel}/{source.group}"] = 2
    for each in custom:  # a source without conditions stands for the whole level that it names
        level = each.source
        if each.condition is None and level.channel == source.channel and level.group in ("", source.group):
            ids.setdefault(level.id, 2 if level.group else 1)
    return ids


def rule_of(site: PublishedSite, source: Source) -> Rule | None:
    """The first rule whose sources contain this one; no other fires, whatever it shows."""
    return _cached(site, None, source, lambda: _rule_of(site, source))


def _rule_of(site: PublishedSite, source: Source) -> Rule | None:
    ids = levels(source, site.sources)
    return next((rule for rule in site.rules if rule.sources is None or not rule.sources.isdisjoint(ids)), None)


def _cached(site: PublishedSite, rule: str | None, source: Source, make: Callable[[], T]) -> T:
    """Visitors choose the names of sources, so there is an end to how many are remembered."""
    key = rule, source
    if key not in site.cache:
        if len(site.cache) >= _MOST_CACHED:
            site.cache.clear()
        site.cache[key] = make()
    made: T = site.cache[key]
    return made


@dataclass(frozen=True, slots=True)
class Choice:
    """What one block shows: a real address, or a place in a pool (whose ``reserve`` shows when there is none)."""

    block: Block
    address: str | None = None
    pool: Pool | None = None
    reserve: str | None = None


def choices(site: PublishedSite, rule: Rule, source: Source) -> Sequence[Choice]:
    """What the rule shows in each of its blocks. A block that several lines name goes to the line closest to the source."""
    return _cached(site, rule.id, source, lambda: _choices(site, rule, source))


def _choices(site: PublishedSite, rule: Rule, source: Source) -> list[Choice]:
    static = _static(rule, levels(source, site.sources))
    made = []
    for pool in rule.pools:
        made += [
            Choice(site.blocks[b], pool=pool, reserve=static.pop(b, None)) for b in pool.blocks if b in site.blocks
        ]
    made += [Choice(site.blocks[b], address=address) for b, address in static.items() if b in site.blocks]
    return sorted(made, key=lambda choice: site.order[choice.block.id])


def _static(rule: Rule, ids: Mapping[str, int]) -> dict[str, str]:
    best: dict[str, tuple[int, str]] = {}
    for line in rule.lines:
        rank = 0 if line.source is None else ids.get(line.source, -1)
        for block in line.blocks if rank >= 0 else ():
            if block not in best or rank > best[block][0]:
                best[block] = rank, line.address
    return {block: address for block, (_, address) in best.items()}


def answers_of(shown: Sequence[tuple[Block, str]]) -> list[dict[str, Any]]:
    """What the snippet is told: for each address to find, or for elements whatever address stands in them, what to show.

    Of two blocks that claim the same address or element the first wins.
    """
    answers: list[dict[str, Any]] = []
    claimed: set[tuple[str, str]] = set()
    for block, address in shown:
        free = [pair for pair in block.selectors if pair not in claimed]
        claimed.update(free)
        elements = [{"attribute": name, "value": value} for name, value in free if name != "email"]
        for name, value in free:
            if name == "email":
                answers.append({"selectors": [{"attribute": name, "value": value}], "find": value, "show": address})
        if elements:
            answers.append({"selectors": elements, "find": None, "show": address})
    return answers
