"""The weekly download of the range files that vendors publish. What looks wrong is refused and the last good copy stays.

A machine that is offline loses nothing: the copies that ship with the product are used.
"""

import json
import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx

from tracker.engagement.judge.ip_ranges import RangeFileRefusal, Table, accept_first, accept_new
from tracker.engagement.range_files import FOLDER, forget_tables, keep, read_kept
from tracker.runtime.context import AppContext

log = logging.getLogger(__name__)

EVERY = 7 * 86400.0
AGAIN_AFTER = 86400.0
"""Seconds until the next try when a file could not be had."""
FIRST_AFTER = 3600.0
"""A new installation waits so long: one that is only looked at asks nobody for anything."""
TIMEOUT = httpx.Timeout(10)
LONGEST_DOWNLOAD = 120.0
MEGABYTE = 1024 * 1024


def as_published(text: str) -> str:
    return text


def endpoint_sets(*numbers: int) -> Callable[[str], str]:
    """Of Microsoft's list of endpoints only the sets with these numbers. Raises ValueError for anything else."""

    def pick(text: str) -> str:
        entries = json.loads(text)
        if not isinstance(entries, list):
            raise ValueError("not a list of endpoint sets")
        return json.dumps([e for e in entries if isinstance(e, dict) and e.get("id") in numbers])

    return pick


def amazon(text: str) -> str:
    """The prefixes of Amazon's own form of JSON, one a line. Raises ValueError for anything else."""
    data = json.loads(text)
    if not isinstance(data, dict) or not isinstance(data.get("prefixes"), list):
        raise ValueError("not Amazon's list of ranges")
    entries = [*data["prefixes"], *(data.get("ipv6_prefixes") or [])]
    prefixes = (entry.get("ip_prefix") or entry.get("ipv6_prefix") for entry in entries if isinstance(entry, dict))
    return "\n".join(str(prefix) for prefix in prefixes if prefix)


@dataclass(frozen=True)
class RangeSource:
    """Where a range file comes from, how many prefixes it may have when we see it first, and how large it may be."""

    name: str
    url: str
    fewest: int
    most: int
    pick: Callable[[str], str] = as_published
    largest: int = 4 * MEGABYTE


_GOOGLE = "https://developers.google.com/static/crawling/ipranges"
# The number in the query is any UUID; Microsoft asks for one per installation, we give the same one for all.
_MICROSOFT = "https://endpoints.office.com/endpoints/worldwide?clientrequestid=b10c5ed1-bad1-445f-b386-b919946339a7"

SOURCES = (
    RangeSource("gmail_proxy", f"{_GOOGLE}/user-triggered-fetchers-google.json", 10, 5000),
    RangeSource("google_special", f"{_GOOGLE}/special-crawlers.json", 10, 5000),
    RangeSource("google_common", f"{_GOOGLE}/common-crawlers.json", 10, 5000),
    RangeSource("microsoft_eop", _MICROSOFT, 4, 200, endpoint_sets(9, 10)),
    RangeSource("exchange_online", _MICROSOFT, 4, 200, endpoint_sets(1)),
    RangeSource(
        "apple_relay", "https://mask-api.icloud.com/egress-ip-ranges.csv", 100, 2_000_000, largest=64 * MEGABYTE
    ),
    # Hosters: a mark of a machine that never decides alone.
    RangeSource("aws", "https://ip-ranges.amazonaws.com/ip-ranges.json", 500, 50_000, amazon, 16 * MEGABYTE),
    RangeSource("google_cloud", "https://www.gstatic.com/ipranges/cloud.json", 100, 20_000),
    RangeSource("digital_ocean", "https://digitalocean.com/geo/google.csv", 100, 20_000),
    RangeSource("linode", "https://geoip.linode.com/", 100, 50_000),
)


def refresh_due(context: AppContext, sources: Sequence[RangeSource] = SOURCES) -> int:
    """Downloads every file that is due on this machine. Returns 0: there is never more to do at once."""
    folder = context.settings.data_dir / FOLDER
    for source in sources:
        if _due_at(folder, source) <= time.time():
            refresh(context, source)
    return 0


def refresh(context: AppContext, source: RangeSource) -> Table | RangeFileRefusal:
    """Downloads one file, and keeps it when it is sane. Says in the log why not."""
    folder = context.settings.data_dir / FOLDER
    content = _accepted(folder, source)
    if isinstance(content, RangeFileRefusal):
        log.warning("%s", content.sentence)
    else:
        keep(folder, content)
        forget_tables(context.settings.data_dir)
        log.info("%s: %d prefixes of %s", content.name, len(content.networks), content.date)
    _set_due(folder, source, time.time() + (AGAIN_AFTER if isinstance(content, RangeFileRefusal) else EVERY))
    return content


def _accepted(folder: Path, source: RangeSource) -> Table | RangeFileRefusal:
    try:
        text, date = download(source.url, source.largest)
        text = source.pick(text)
    except httpx.HTTPError as error:
        return RangeFileRefusal(
            source.name, f"{source.name}: no new range file ({type(error).__name__}); the old one stays"
        )
    except (ValueError, RecursionError) as error:
        return RangeFileRefusal(
            source.name, f"{source.name}: the new range file cannot be read ({error}); the old one stays"
        )
    stored = read_kept(folder, source.name)
    if stored is not None:
        return accept_new(stored, text, date)
    return accept_first(Table(source.name, date, source.url, ()), text, source.fewest, source.most)


def download(url: str, largest: int) -> tuple[str, str]:
    """The text at this address and the day it is from (YYYY-MM-DD).

    Raises httpx.HTTPError when it cannot be had in time, ValueError when it is larger than ``largest`` bytes or no text.
    """
    begin, body = time.monotonic(), bytearray()
    with httpx.stream("GET", url, timeout=TIMEOUT, follow_redirects=True) as answer:
        answer.raise_for_status()
        for piece in answer.iter_bytes():
            body += piece
            if len(body) > largest:
                raise ValueError(f"larger than {largest:,} bytes")
            if time.monotonic() - begin > LONGEST_DOWNLOAD:
                raise httpx.ReadTimeout("the download takes too long")
        return body.decode("utf-8"), _day(answer.headers.get("last-modified", ""))


def _day(last_modified: str) -> str:
    try:
        return parsedate_to_datetime(last_modified).astimezone(UTC).date().isoformat()
    except ValueError:
        return datetime.now(UTC).date().isoformat()


def _due_at(folder: Path, source: RangeSource) -> float:
    """When to ask next: the time of a mark beside the file. The first look only sets the mark."""
    mark = folder / f"{source.name}.due"
    try:
        return mark.stat().st_mtime
    except FileNotFoundError:
        due = time.time() + FIRST_AFTER
        _set_due(folder, source, due)
        return due


def _set_due(folder: Path, source: RangeSource, moment: float) -> None:
    mark = folder / f"{source.name}.due"
    folder.mkdir(parents=True, exist_ok=True)
    mark.touch()
    os.utime(mark, (moment, moment))
