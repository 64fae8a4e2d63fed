"""Which known networks an address lies in: frozen range files, sorted integers and bisect. No look-ups over the wire.

A refreshed file is taken over only through `accept_new`. Apple's relay list and Google's list of common crawlers are
too large or too lively to ship; once downloaded they join as further tables (`apple_relay`, `google_common`).
"""

import json
import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses, ip_address, ip_network
from typing import Any

from tracker.engagement.judge.evidence import Net
from tracker.engagement.judge.network_owners import from_reverse_dns, from_tag

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

FROZEN_FILES = (
    "gmail_proxy",
    "google_special",
    "microsoft_eop",
    "exchange_online",
    "microsoft",
    "barracuda",
    "telegram",
    "mailru",
    "proofpoint",
    "mimecast",
    "hosting",
)
HOSTERS = frozenset({"hosting", "aws", "google_cloud", "digital_ocean", "linode"})
LARGEST_CHANGE = 3
WIDEST = {4: 8, 6: 16}


@dataclass(frozen=True, eq=False)  # compared and hashed as itself: it is asked for with every hit
class Table:
    """One range file: all its addresses carry the tag `name`. `date` is the day the publisher's data is from."""

    name: str
    date: str
    source: str
    networks: tuple[Network, ...]

    def __contains__(self, address: Address) -> bool:
        return bool(_names_at(address, (self,)))


@dataclass(frozen=True)
class RangeFileRefusal:
    """Why a downloaded range file was not taken over; the old one stays in use."""

    name: str
    sentence: str


@lru_cache(maxsize=65536)
def parse_address(ip: str) -> Address | None:
    """The address, with IPv4-mapped IPv6 turned into IPv4 and a zone dropped; None when it is no address."""
    try:
        address = ip_address(ip.strip().strip("[]").split("%", 1)[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def same_host_key(ip: str) -> str | None:
    """Equal for hits that count as one address: the exact IPv4 address or the IPv6 /64. None for what is no address."""
    return _prefix(ip, 32, 64)


def neighbourhood_key(ip: str) -> str | None:
    """Equal for hits of one neighbourhood: IPv4 /24 or IPv6 /48. None for what is no address."""
    return _prefix(ip, 24, 48)


@lru_cache(maxsize=65536)
def _prefix(ip: str, bits4: int, bits6: int) -> str | None:
    address = parse_address(ip)
    if address is None:
        return None
    bits = bits4 if address.version == 4 else bits6
    spare = address.max_prefixlen - bits
    return f"{type(address)(int(address) >> spare << spare)}/{bits}"


def tags(ip: str, tables: Sequence[Table] | None = None) -> frozenset[str]:
    """The names of the range tables that hold this address; empty for what is no address."""
    if tables is not None and not tables:
        return frozenset()
    return _tags(ip, frozen_tables() if tables is None else tuple(tables))


@lru_cache(maxsize=65536)
def _tags(ip: str, tables: tuple[Table, ...]) -> frozenset[str]:
    address = parse_address(ip)
    if address is None:
        return frozenset()
    return _names_at(address, tables)


def _names_at(address: Address, tables: tuple[Table, ...]) -> frozenset[str]:
    firsts, names = _merged(tables)[address.version]
    return names[bisect_right(firsts, int(address))]


@lru_cache(maxsize=4)
def _merged(tables: tuple[Table, ...]) -> dict[int, tuple[list[int], list[frozenset[str]]]]:
    """By IP version: the addresses at which the names of the tables that hold an address change, and the names before the first
    of them and from each of them on. All tables are asked by one search so."""
    return {version: _changes(tables, version) for version in (4, 6)}


def _changes(tables: tuple[Table, ...], version: int) -> tuple[list[int], list[frozenset[str]]]:
    changes: dict[int, list[tuple[str, int]]] = defaultdict(list)
    for table in tables:
        for network in table.networks:
            if network.version == version:
                changes[int(network.network_address)].append((table.name, 1))
                changes[int(network.broadcast_address) + 1].append((table.name, -1))
    firsts, names = sorted(changes), [frozenset[str]()]
    depths, alike = defaultdict[str, int](int), dict[frozenset[str], frozenset[str]]()
    for first in firsts:
        for name, change in changes[first]:
            depths[name] += change
        present = frozenset(name for name, depth in depths.items() if depth)
        names.append(alike.setdefault(present, present))
    return firsts, names


def look_up(ip: str, net: Net = Net(), tables: Sequence[Table] | None = None) -> Net:
    """`net` with the range tags of this address added; with no tables at all it has them already."""
    if tables is not None and not tables:
        return net
    owners = tags(ip, tables)
    if net.asn is not None or net.org:
        owners -= HOSTERS  # whoever knows the owner knows better than a list of large blocks
    return Net(net.asn, net.org, net.rdns, net.tags | owners)


@lru_cache(maxsize=65536)
def facts(net: Net) -> frozenset[str]:
    """What tags, ASN, owner and reverse DNS say together, in our own tag names.

    Certain: `gmail_proxy`, `google_special`, `google_common`, `microsoft_eop`, `barracuda`, `spfbl`, `telegram`,
    `mailru`, `apple_relay`, `own`. Owners: `google`, `microsoft`, `exchange_online`, `proofpoint`, `mimecast`, `cisco`,
    `yandex`, `hosting`, `tor`, `learned_scanner`. A narrower tag brings its owner along.
    """
    owners = {tag for tag in map(from_tag, net.tags) if tag}
    owners |= from_reverse_dns(net.asn, net.org, net.rdns)
    if owners & {"gmail_proxy", "google_special", "google_common"}:
        owners.add("google")
    if owners & {"microsoft_eop", "exchange_online"}:
        owners.add("microsoft")
    # People browse through Apple's relay from the networks of Cloudflare, Akamai and Fastly.
    if owners & {"apple_relay", "microsoft", "google"}:
        owners.discard("hosting")
    return frozenset(owners)


@lru_cache(maxsize=1)
def frozen_tables() -> tuple[Table, ...]:
    """The range files that ship with the product, so that it works offline."""
    folder = files("tracker.engagement") / "data" / "networks"
    return tuple(_frozen(name, (folder / f"{name}.txt").read_text("ascii")) for name in FROZEN_FILES)


def _frozen(name: str, text: str) -> Table:
    about = dict(re.findall(r"^# (\w+): (.*)$", text, re.MULTILINE))
    return Table(name, about["date"], about["source"], parse_networks(text))


def newest_date(tables: Sequence[Table] | None = None) -> str:
    """The newest file date among the tables, to be kept with each verdict."""
    return max(table.date for table in tables or frozen_tables())


def accept_new(old: Table, new_text: str, date: str = "") -> Table | RangeFileRefusal:
    """The table of a freshly downloaded file, or why the old one is kept.

    Understands Google's JSON, Microsoft's endpoint JSON and plain or CSV lines that begin with a prefix. Refused when
    it cannot be read, is empty, or holds over three times more or fewer addresses' prefixes than before.
    """
    new = _readable(old, new_text, date)
    if isinstance(new, RangeFileRefusal):
        return new
    before, after = len(old.networks), len(new.networks)
    if before and not before <= after * LARGEST_CHANGE <= before * LARGEST_CHANGE**2:
        change = f"{before} prefixes before, {after} now, more than {LARGEST_CHANGE}x apart"
        return RangeFileRefusal(old.name, f"{old.name}: {change}; the old file stays until somebody has looked")
    return new


def accept_first(about: Table, text: str, fewest: int, most: int) -> Table | RangeFileRefusal:
    """The same for a file that was never downloaded before: what ships with the product is condensed and no measure."""
    new = _readable(about, text, about.date)
    if isinstance(new, RangeFileRefusal) or fewest <= len(new.networks) <= most:
        return new
    return RangeFileRefusal(about.name, f"{about.name}: {len(new.networks)} prefixes, not between {fewest} and {most}")


def _readable(old: Table, new_text: str, date: str) -> Table | RangeFileRefusal:
    try:
        networks = parse_networks(new_text)
    except (ValueError, TypeError, RecursionError) as problem:
        return RangeFileRefusal(
            old.name, f"{old.name}: the new range file cannot be read ({problem}); the old one stays"
        )
    if not networks:
        return RangeFileRefusal(old.name, f"{old.name}: the new range file is empty; the old one stays")
    return Table(old.name, _creation_date(new_text) or date or old.date, old.source, networks)


def parse_networks(text: str) -> tuple[Network, ...]:
    """All prefixes of a range file, collapsed. Raises ValueError for what is no range file."""
    networks = [ip_network(prefix, strict=False) for prefix in _prefixes(text)]
    if any(n.prefixlen < WIDEST[n.version] for n in networks):
        raise ValueError(f"a prefix wider than /{WIDEST[4]} (IPv4) or /{WIDEST[6]} (IPv6) covers everybody")
    v4 = collapse_addresses(n for n in networks if isinstance(n, IPv4Network))
    v6 = collapse_addresses(n for n in networks if isinstance(n, IPv6Network))
    return (*v4, *v6)


def _prefixes(text: str) -> Iterator[str]:
    if text.lstrip().startswith(("{", "[")):
        yield from _json_prefixes(json.loads(text))
        return
    for line in text.splitlines():
        entry = line.split("#", 1)[0].split(",", 1)[0].strip()
        if entry:
            yield entry


def _json_prefixes(data: Any) -> Iterator[str]:
    google = data.get("prefixes") if isinstance(data, dict) else None
    entries = google if google is not None else data
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError("neither Google's nor Microsoft's form of JSON")
    for entry in entries:
        yield from (
            map(str, entry.get("ips") or ())
            if google is None
            else [str(entry.get("ipv4Prefix") or entry.get("ipv6Prefix"))]
        )


def _creation_date(text: str) -> str:
    match = re.search(r'"creationTime"\s*:\s*"(\d{4}-\d\d-\d\d)', text)
    return match.group(1) if match else ""
