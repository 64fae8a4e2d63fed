"""Downloading range files: what is taken over, what is refused, and what is used meanwhile."""

import json
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from sqlmodel import col, select

from tests.engagement.edge_by_hand import PAGE, Edge, events, ingest_hits, message_of
from tracker.engagement.judge.evidence import Net
from tracker.engagement.judge.ip_ranges import (
    HOSTERS,
    RangeFileRefusal,
    Table,
    facts,
    frozen_tables,
    look_up,
    parse_networks,
)
from tracker.engagement.range_files import FOLDER, forget_tables, tables_in_use
from tracker.engagement.range_refresh import SOURCES, RangeSource, amazon, endpoint_sets, refresh, refresh_due
from tracker.engagement.rejudge import rejudge_held
from tracker.models import Delivery, Verdict
from tracker.runtime.context import AppContext


@dataclass
class Vendor:
    """What the next request is answered with."""

    url: str = ""
    body: bytes = b""
    status: int = 200
    last_modified: str = "Sat, 21 Nov 2026 10:00:00 GMT"
    asked: list[str] = field(default_factory=list)


@contextmanager
def publishing() -> Iterator[Vendor]:
    vendor = Vendor()

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            vendor.asked.append(self.path)
            self.send_response(vendor.status)
            self.send_header("Last-Modified", vendor.last_modified)
            self.send_header("Content-Length", str(len(vendor.body)))
            self.end_headers()
            try:
                self.wfile.write(vendor.body)
            except OSError:
                return  # the other side has read enough

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    vendor.url = f"http://127.0.0.1:{server.server_address[1]}/ranges.json"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield vendor
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture
def vendor() -> Iterator[Vendor]:
    with publishing() as vendor:
        yield vendor


def google(prefixes: int, first: int = 0) -> bytes:
    networks = [{"ipv4Prefix": f"203.{first + n // 128}.{n % 128 * 2}.0/24"} for n in range(prefixes)]
    return json.dumps({"creationTime": "2026-11-20T22:00:00.000000", "prefixes": networks}).encode()


def source(vendor: Vendor, **changes: object) -> RangeSource:
    facts: dict[str, object] = {"name": "gmail_proxy", "url": vendor.url, "fewest": 10, "most": 100}
    return RangeSource(**{**facts, **changes})  # type: ignore[arg-type]


def used(context: AppContext, name: str = "gmail_proxy") -> Table | None:
    return next((table for table in tables_in_use(context.settings.data_dir) if table.name == name), None)


def test_a_good_file_is_kept_used_and_dated(context: AppContext, vendor: Vendor) -> None:
    before = used(context)
    vendor.body = google(40)
    assert isinstance(refresh(context, source(vendor)), Table)
    table = used(context)
    assert table is not None
    assert (len(table.networks), table.date, table.source) == (40, "2026-11-20", vendor.url)
    assert before != table


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "empty"),
        (b'{"creationTime": "2026-11-20", "prefixes": []}', "empty"),
        (google(121), "more than 3x apart"),
        (google(13), "more than 3x apart"),
        (b'{"prefixes": [{"ipv4Prefix": "203.0.', "cannot be read"),
        (b"<html>Sign in to the hotel</html>", "cannot be read"),
        (b'{"prefixes": [{"ipv4Prefix": "0.0.0.0/0"}]}', "cannot be read"),
        (b'{"prefixes": [{"ipv4Prefix": "64.0.0.0/3"}]}', "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        (b"[" * 100_000, "cannot be read"),
        (b"# " + b"x" * 5_000_000, "larger than"),
    ],
    ids=[
        "nothing",
        "no prefixes",
        "tripled",
        "shrunk",
        "cut",
        "a page",
        "everybody",
        "half",
        "no text",
        "deep",
        "huge",
    ],
)
def test_a_file_that_looks_wrong_is_refused_and_the_last_good_one_stays(
    context: AppContext, vendor: Vendor, body: bytes, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    vendor.body = google(40)
    refresh(context, source(vendor))
    good = used(context)
    vendor.body = body
    refusal = refresh(context, source(vendor))
    assert isinstance(refusal, RangeFileRefusal)
    assert why in refusal.sentence
    assert refusal.sentence in caplog.text
    assert used(context) == good


def test_three_times_larger_than_the_shipped_copy_is_no_reason_to_refuse_the_first(
    context: AppContext, vendor: Vendor
) -> None:
    shipped = next(table for table in frozen_tables() if table.name == "gmail_proxy")
    vendor.body = google(90)
    assert 3 * len(shipped.networks) < 90
    assert isinstance(refresh(context, source(vendor)), Table)
    assert isinstance(refresh(context, source(vendor, name="google_special", most=50)), RangeFileRefusal)


@pytest.mark.parametrize("status", [404, 500])
def test_an_error_keeps_what_is_there(context: AppContext, vendor: Vendor, status: int) -> None:
    vendor.body, vendor.status = google(40), status
    assert isinstance(refresh(context, source(vendor)), RangeFileRefusal)
    table = used(context)
    assert table is not None
    assert table.date == "2026-08-01"


def test_offline_the_shipped_copies_are_used(context: AppContext) -> None:
    nowhere = RangeSource("gmail_proxy", "http://127.0.0.1:9/ranges.json", 10, 100)
    assert isinstance(refresh(context, nowhere), RangeFileRefusal)
    assert set(tables_in_use(context.settings.data_dir)) == set(frozen_tables())


def test_of_microsofts_list_only_the_named_sets_are_taken(context: AppContext, vendor: Vendor) -> None:
    sets = [
        {"id": 1, "ips": ["40.96.0.0/13", "52.96.0.0/14", "13.107.6.152/31", "132.245.0.0/16"]},
        {"id": 9, "ips": ["40.92.0.0/15", "2a01:111:f400::/48"]},
        {"id": 10, "ips": ["104.47.0.0/17", "203.0.113.0/24"]},
        {"id": 11, "urls": ["*.example.com"]},
    ]
    vendor.body = json.dumps(sets).encode()
    eop = refresh(context, source(vendor, name="microsoft_eop", fewest=4, pick=endpoint_sets(9, 10)))
    assert isinstance(eop, Table)
    assert {str(n) for n in eop.networks} == {"40.92.0.0/15", "2a01:111:f400::/48", "104.47.0.0/17", "203.0.113.0/24"}
    assert eop.date == "2026-11-21"
    vendor.body = b'{"error": "try later"}'
    assert isinstance(refresh(context, source(vendor, name="exchange_online", pick=endpoint_sets(1))), RangeFileRefusal)


def test_apples_list_is_collapsed(context: AppContext, vendor: Vendor) -> None:
    lines = [f"104.28.{n // 256}.{n % 256}/32,DE,DE-BE,Berlin," for n in range(1024)]
    vendor.body = "\n".join(lines).encode()
    table = refresh(context, source(vendor, name="apple_relay", fewest=1, most=2000))
    assert isinstance(table, Table)
    assert [str(network) for network in table.networks] == ["104.28.0.0/22"]


def test_a_file_is_asked_for_once_a_week_and_never_at_the_first_look(context: AppContext, vendor: Vendor) -> None:
    vendor.body = google(40)
    mark = context.settings.data_dir / FOLDER / "gmail_proxy.due"
    refresh_due(context, [source(vendor)])
    assert vendor.asked == []
    assert 0 < mark.stat().st_mtime - time.time() <= 3600
    os.utime(mark, (0, 0))
    for _ in range(3):
        refresh_due(context, [source(vendor)])
    assert len(vendor.asked) == 1
    assert mark.stat().st_mtime - time.time() > 6 * 86400
    vendor.status = 500
    os.utime(mark, (0, 0))
    refresh_due(context, [source(vendor)])
    assert mark.stat().st_mtime - time.time() < 2 * 86400


def test_a_kept_file_that_was_damaged_is_passed_over(context: AppContext, vendor: Vendor) -> None:
    vendor.body = google(40)
    refresh(context, source(vendor))
    (context.settings.data_dir / FOLDER / "gmail_proxy.txt").write_bytes(b"# date: 2026-11-20\nhalf a pre")
    forget_tables(context.settings.data_dir)
    assert used(context) in frozen_tables()


def test_a_range_that_becomes_known_changes_old_verdicts_and_is_named_in_them(
    context: AppContext, vendor: Vendor, sent: Delivery
) -> None:
    edge = Edge()
    edge.hit(sent, "click", link=0, headers=PAGE, client="203.0.4.9")
    (event,) = ingest_hits(context, edge)
    assert event.klass == "human"
    vendor.body = google(40)
    refresh(context, source(vendor, name="google_special"))
    assert rejudge_held(context) == 1
    assert [e.klass for e in events(context)] == ["security_scanner"]
    assert message_of(context).clicks == 0
    with context.database.reading() as session:
        newest = session.exec(select(Verdict).order_by(col(Verdict.id).desc())).first()
    assert newest is not None
    assert newest.rule_set.endswith("ranges 2026-11-20")


def test_every_published_list_has_its_place() -> None:
    assert len({item.name for item in SOURCES}) == len(SOURCES)
    assert all(item.url.startswith("https://") for item in SOURCES)


def test_amazons_own_form_is_read_and_anything_else_refused() -> None:
    published = {
        "syncToken": "1",
        "prefixes": [{"ip_prefix": "3.5.140.0/22", "region": "ap-northeast-2"}, {"ip_prefix": "52.94.76.0/22"}],
        "ipv6_prefixes": [{"ipv6_prefix": "2600:1f14::/35"}],
    }
    assert [str(parse_network) for parse_network in parse_networks(amazon(json.dumps(published)))] == [
        *("3.5.140.0/22", "52.94.76.0/22", "2600:1f14::/35"),
    ]
    for other in ("[]", "{}", '{"prefixes": 1}'):
        with pytest.raises(ValueError, match="Amazon"):
            amazon(other)


def test_a_known_owner_beats_the_list_of_blocks() -> None:
    assert facts(look_up("95.216.1.2")) == {"hosting"}
    assert facts(look_up("95.216.1.2", Net(asn=3320, org="Deutsche Telekom AG"))) == frozenset()


@pytest.mark.parametrize("name", sorted(HOSTERS))
def test_every_hosters_table_says_hosting(name: str) -> None:
    assert facts(Net(tags=frozenset({name}))) == {"hosting"}
