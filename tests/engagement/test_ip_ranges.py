"""Range files: membership at the edges, and which downloads are taken over."""

import json
from ipaddress import ip_address

import pytest

from tracker.engagement.judge.evidence import Net
from tracker.engagement.judge.ip_ranges import (
    RangeFileRefusal,
    Table,
    accept_new,
    facts,
    frozen_tables,
    look_up,
    neighbourhood_key,
    parse_networks,
    same_host_key,
    tags,
)


@pytest.mark.parametrize(
    ("ip", "expected"),
    [
        ("40.91.255.255", set()),
        ("40.92.0.0", {"microsoft_eop"}),
        ("40.93.255.255", {"microsoft_eop"}),
        ("40.94.0.0", {"microsoft"}),
        ("40.95.0.0", set()),
        ("40.96.0.0", {"exchange_online"}),
        ("104.47.127.255", {"microsoft_eop"}),
        ("104.47.128.0", set()),
        ("2a01:111:f400:ffff:ffff:ffff:ffff:ffff", {"microsoft_eop"}),
        ("2a01:111:f401::", set()),
        ("66.249.86.1", set()),
        ("66.249.87.1", {"google_special"}),
        ("66.249.88.1", {"gmail_proxy"}),
        ("::ffff:66.249.88.1", {"gmail_proxy"}),
        (" 66.249.88.1 ", {"gmail_proxy"}),
        ("fe80::1%eth0", set()),
        ("149.154.167.1", {"telegram"}),
        ("localhost", set()),
        ("", set()),
    ],
)
def test_tags_at_the_edges_of_the_ranges(ip: str, expected: set[str]) -> None:
    assert tags(ip) == expected


def test_no_address_is_both_a_reader_and_a_check() -> None:
    tables = {table.name: table for table in frozen_tables()}
    for people, machines in (("gmail_proxy", "google_special"), ("exchange_online", "microsoft_eop")):
        for network in tables[people].networks:
            for other in tables[machines].networks:
                assert network.version != other.version or not network.overlaps(other)


def test_every_frozen_file_says_source_and_date() -> None:
    for table in frozen_tables():
        assert table.source
        assert table.date[:2] == "20"
        assert table.networks


@pytest.mark.parametrize(
    ("spelling", "fact"),
    [
        ("Apple-Relay", "apple_relay"),
        ("icloud_private_relay", "apple_relay"),
        ("google-user-triggered", "gmail_proxy"),
        ("user-triggered-fetchers-google", "gmail_proxy"),
        ("google_special_crawlers", "google_special"),
        ("special-crawlers", "google_special"),
        ("ms_eop", "microsoft_eop"),
        ("Exchange Online", "exchange_online"),
        ("azure", "microsoft"),
        ("cloud", "hosting"),
        ("datacenter", "hosting"),
        ("tor-exit", "tor"),
    ],
)
def test_tags_are_understood_in_many_spellings(spelling: str, fact: str) -> None:
    assert fact in facts(Net(tags=frozenset({spelling})))


@pytest.mark.parametrize("harmless", ["residential", "cloudflare", "office", "private_network", "vpn", "mobile", ""])
def test_tags_that_mean_nothing_here(harmless: str) -> None:
    assert facts(Net(tags=frozenset({harmless}))) == set()


@pytest.mark.parametrize(
    ("net", "fact"),
    [
        (Net(org="Google LLC"), "google"),
        (Net(org="Google Cloud"), "hosting"),
        (Net(asn=396982, org="Google LLC"), "hosting"),
        (Net(org="DigitalOcean, LLC"), "hosting"),
        (Net(org="Proofpoint, Inc."), "proofpoint"),
        (Net(rdns="mail.ESS.barracuda.com."), "barracuda"),
    ],
)
def test_owner_number_and_name_say_the_same(net: Net, fact: str) -> None:
    assert fact in facts(net)


def test_relay_addresses_are_never_hosting() -> None:
    relay = Net(13335, "Cloudflare, Inc.", None, frozenset({"apple_relay", "hosting"}))
    assert facts(relay) == {"apple_relay"}
    assert facts(Net(36183, "Akamai Hosting")) == set()


def test_look_up_adds_our_ranges_to_what_was_given() -> None:
    net = look_up("40.107.1.1", Net(8075, tags=frozenset({"x"})))
    assert net == Net(8075, tags=frozenset({"x", "microsoft_eop"}))


def test_keys_of_one_host_and_one_neighbourhood() -> None:
    assert same_host_key("::ffff:192.0.2.1") == same_host_key("192.0.2.1")
    assert same_host_key("2001:db8::1") == same_host_key("2001:db8::2")
    assert same_host_key("2001:db8:0:1::1") != same_host_key("2001:db8::1")
    assert neighbourhood_key("192.0.2.1") == neighbourhood_key("192.0.2.200")
    assert neighbourhood_key("2001:db8:0:1::1") == neighbourhood_key("2001:db8::1")
    assert same_host_key("unknown") is None


OLD = Table("telegram", "2026-11-01", "test", parse_networks("192.0.2.0/28\n198.51.100.0/24\n203.0.113.0/24"))


def test_a_plain_list_is_taken_over() -> None:
    new = accept_new(OLD, "# cidr\n192.0.2.0/24\n\n2001:db8::/32\n", "2026-12-01")
    assert isinstance(new, Table)
    assert (new.name, new.date, len(new.networks)) == ("telegram", "2026-12-01", 2)
    assert ip_address("192.0.2.99") in new
    assert ip_address("198.51.100.1") not in new


def test_google_json_brings_its_date() -> None:
    prefixes = [{"ipv4Prefix": "192.0.2.0/27"}, {"ipv4Prefix": "192.0.2.64/27"}, {"ipv6Prefix": "2001:db8::/64"}]
    new = accept_new(OLD, json.dumps({"creationTime": "2026-12-24T00:00:00.000000", "prefixes": prefixes}))
    assert isinstance(new, Table)
    assert (new.date, len(new.networks)) == ("2026-12-24", 3)


def test_microsoft_json_and_apple_csv() -> None:
    sets = [{"id": 9, "ips": ["192.0.2.0/24", "2001:db8::/48"]}, {"id": 10, "urls": ["*.example.com"]}]
    assert isinstance(accept_new(OLD, json.dumps(sets)), Table)
    assert isinstance(accept_new(OLD, "192.0.2.0/31,DE,DE-BE,BERLIN,\n198.51.100.4/31,DE,,,\n"), Table)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("<html>Not found</html>", "cannot be read"),
        ('{"error": 1}', "cannot be read"),
        ('{"prefixes": [{}]}', "cannot be read"),
        ('{"prefixes": [7]}', "cannot be read"),
        ("[1, 2]", "cannot be read"),
        ("{", "cannot be read"),
        ("0.0.0.0/0", "covers everybody"),
        ("\n".join(f"10.{n}.0.0/24" for n in range(10)), "more than 3x"),
    ],
)
def test_a_file_that_cannot_be_right_is_refused(text: str, says: str) -> None:
    refusal = accept_new(OLD, text)
    assert isinstance(refusal, RangeFileRefusal)
    assert says in refusal.sentence
    assert "stay" in refusal.sentence


def test_three_times_more_or_fewer_is_still_believed() -> None:
    nine = parse_networks("\n".join(f"10.{n}.0.0/24" for n in range(0, 18, 2)))
    assert isinstance(accept_new(OLD, "\n".join(map(str, nine))), Table)
    assert isinstance(accept_new(Table("x", "2026", "", nine), "192.0.2.0/24\n198.51.100.0/24\n203.0.113.0/24"), Table)
    assert isinstance(accept_new(Table("x", "2026", "", nine), "192.0.2.0/24\n198.51.100.0/24"), RangeFileRefusal)
