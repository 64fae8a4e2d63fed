"""Hits: what crosses from the edge to the tracker, and back into the same value."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixel.hits import KEPT_HEADERS, Hit, kept_headers, referer_host

HIT = Hit(
    id=7,
    received_at=datetime(2026, 11, 22, 10, 0, 0, 123000, UTC),
    kind="click",
    token="t",
    delivery="AAECAwQFBgc",
    link=2,
    method="GET",
    client="192.0.2.1",
    http_version="1.1",
    headers={"user-agent": "Агент \u2028 \ufffd"},
    self_user="anna",
)


def test_a_hit_is_one_line_and_reads_back() -> None:
    line = HIT.to_json()
    assert len(line.splitlines()) == 1
    assert '"received_at":"2026-11-22T10:00:00.123+00:00"' in line
    assert Hit.from_json(line) == HIT
    assert Hit.from_json(line.encode() + b"\n") == HIT


def test_times_of_other_zones_become_utc() -> None:
    moscow = datetime(2026, 11, 22, 13, 0, 0, 123000, timezone(timedelta(hours=3)))
    line = HIT.to_json().replace(HIT.received_at.isoformat(timespec="milliseconds"), moscow.isoformat())
    assert Hit.from_json(line).received_at == HIT.received_at
    assert Hit.from_json(line).received_at.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    "line",
    ["", "x", "[]", "1", "null", "{}", '{"id":1}', HIT.to_json()[:-1], HIT.to_json().replace("click", "teapot"),
     HIT.to_json().replace('"link":2', '"link":"2"'), HIT.to_json().replace('"link":2', '"link":true'),
     HIT.to_json().replace('"anna"', "5"), HIT.to_json().replace('{"user-agent":', '{"user-agent":1,"x":'),
     HIT.to_json().replace("2026-", "26-"), HIT.to_json().replace('"token"', '"coin"')],
)  # fmt: skip
def test_anything_else_is_not_a_hit(line: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Hit.from_json(line)


@given(st.dictionaries(st.sampled_from([*KEPT_HEADERS, b"cookie", b"x"]), st.binary(max_size=2000)))
def test_headers_are_known_cut_and_printable_whatever_comes(raw: dict[bytes, bytes]) -> None:
    headers = kept_headers(raw)
    assert {name.encode() for name in headers} == raw.keys() & KEPT_HEADERS.keys()
    assert all(text.isprintable() and len(text) <= KEPT_HEADERS[name.encode()] for name, text in headers.items())


@pytest.mark.parametrize(
    ("referer", "host"),
    [
        (b"https://Mail.Example.org/inbox?id=1", "mail.example.org"),
        (b"https://u:p@mail.example.org:8443/", "mail.example.org"),
        (b" https://mail.example.org ", "mail.example.org"),
        (b"android-app://com.google.android.gm/", "com.google.android.gm"),
        (b"about:blank", ""),
        (b"/inbox?secret", ""),
        (b"mail.example.org/inbox", ""),
        (b"https://[broken", ""),
        (b"\xff\xfe", ""),
        (b"", ""),
        (b"https://" + b"h" * 4000, "h" * 255),
    ],
)
def test_only_the_host_of_a_referer_is_kept(referer: bytes, host: str) -> None:
    assert referer_host(referer) == host
