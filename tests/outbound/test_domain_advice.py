"""SPF, DKIM and DMARC of a sending domain: what is said of good, missing, doubled, circular and broken records."""

import time
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from tests.fixtures.contexts import People
from tests.servers import SmtpSink
from tests.servers.dns import NameServer, name_server
from tracker.outbound.sending_domain import spf
from tracker.outbound.sending_domain.advice import Advice, advise, find
from tracker.outbound.sending_domain.dmarc import parse_dkim, parse_dmarc
from tracker.outbound.sending_domain.records import TOTAL_SECONDS, advice_for
from tracker.outbound.sending_domain.sending_services import SENDING
from tracker.outbound.sending_domain.spf import Records
from tracker.runtime.context import AppContext

OURS = "seller.example"
Zone = Mapping[str, tuple[str, ...] | str]


def key_of(bits: int) -> str:
    key = rsa.generate_private_key(65537, bits).public_key()
    return b64encode(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


GOOD_KEY = f"v=DKIM1; k=rsa; p={key_of(2048)}"
GOOD: Zone = {
    OURS: ("google-site-verification=x", "v=spf1 include:_spf.google.com ~all"),
    "_spf.google.com": ("v=spf1 ip4:192.0.2.0/24 ~all",),
    f"google._domainkey.{OURS}": (GOOD_KEY,),
    f"_dmarc.{OURS}": ("v=DMARC1; p=reject; rua=mailto:d@seller.example",),
}


def fetch_from(zone: Zone) -> spf.Fetch:
    """A zone of TXT records; a word in place of records is the problem."""

    def fetch(name: str, kind: str) -> Records:
        result = zone.get(name if kind == "TXT" else f"{name} {kind}", "none")
        return Records(problem=result) if isinstance(result, str) else Records(result)

    return fetch


def advice(changes: Zone, preset: str = "gmail", domain: str = OURS) -> dict[str, Advice]:
    """By topic; of several lines about one topic the worst."""
    zone = {name: records for name, records in {**GOOD, **changes}.items() if records != "gone"}
    records = advise(domain, SENDING[preset], find(domain, SENDING[preset], fetch_from(zone)), f"a@{domain}")
    order = ("bad", "warn", "unknown", "good")
    return {a.topic: a for a in sorted(records, key=lambda a: order.index(a.grade), reverse=True)}


def test_everything_in_order_is_good() -> None:
    assert {topic: a.grade for topic, a in advice({}).items()} == {"SPF": "good", "DKIM": "good", "DMARC": "good"}


@pytest.mark.parametrize(
    ("record", "grade", "words", "publish"),
    [
        ("gone", "bad", "does not say who may send", "v=spf1 include:_spf.google.com ~all"),
        (("v=spf10 -all",), "bad", "does not say who may send", "v=spf1 include:_spf.google.com ~all"),
        (("v=spf1 mx -all",), "bad", "does not let Gmail send", "v=spf1 mx include:_spf.google.com -all"),
        (("v=spf1 redirect=_spf.google.com",), "good", "may send", None),
        (("v=spf1 include:_SPF.Google.com. ~all",), "good", "may send", None),
        (("v=spf1 include:via.example ~all",), "good", "may send", None),
        (("v=spf1 include:_spf.google.com +all",), "bad", "the whole world", "v=spf1 include:_spf.google.com ~all"),
        (("v=spf1 include:_spf.google.com all",), "bad", "the whole world", "v=spf1 include:_spf.google.com ~all"),
        (("v=spf1 include:_spf.google.com",), "warn", "has no end", "v=spf1 include:_spf.google.com ~all"),
        (("v=spf1 incldue:_spf.google.com ~all",), "bad", "cannot read “incldue:", None),
        (("v=spf1 ip4:999.1.1.1 ~all",), "bad", "cannot read “ip4:999", None),
        (("v=spf1 ip4:2001:db8::1 ~all",), "bad", "cannot read “ip4:2001", None),
        (("v=spf1 include: ~all",), "bad", "cannot read “include:", None),
        (
            ("v=spf1 include:nothing.example include:_spf.google.com ~all",),
            "bad",
            "nothing.example, which has no",
            None,
        ),
        (
            ("v=spf1 include:_spf.google.com ~all", "v=spf1 ip4:192.0.2.1 -all"),
            "bad",
            "has 2 SPF records",
            "v=spf1 include:_spf.google.com ip4:192.0.2.1 -all",
        ),
        (("V=SPF1 INCLUDE:_SPF.GOOGLE.COM ~ALL",), "good", "may send", None),
        ("no_answer", "unknown", "could not be looked up", None),
        (("\ufffd\ufffd",), "bad", "does not say who may send", "v=spf1 include:_spf.google.com ~all"),
    ],
)
def test_spf(record: tuple[str, ...] | str, grade: str, words: str, publish: str | None) -> None:
    result = advice({OURS: record, "via.example": ("v=spf1 include:_spf.google.com -all",)})["SPF"]
    assert (result.grade, words in result.text) == (grade, True), result.text
    assert [p.value for p in result.publish] == ([publish] if publish else [])


def test_more_than_ten_look_ups_at_any_depth() -> None:
    deep: dict[str, tuple[str, ...]] = {f"s{n}.example": ("v=spf1 a:h.example ~all",) for n in range(5)}
    includes = " ".join(f"include:{name}" for name in deep)
    hosts: Zone = {"h.example A": ("192.0.2.1",)}
    result = advice({OURS: (f"v=spf1 include:_spf.google.com {includes} ~all",), **deep, **hosts})["SPF"]
    assert (result.grade, "asks for 11 look-ups" in result.text) == ("bad", True)


def test_more_than_two_void_look_ups() -> None:
    result = advice({OURS: ("v=spf1 include:_spf.google.com a:x.example mx:y.example a:z.example/24 ~all",)})["SPF"]
    assert (result.grade, "3 hosts that do not exist" in result.text) == ("bad", True)


def test_a_circle_of_includes_ends() -> None:
    result = advice(
        {
            OURS: ("v=spf1 include:_spf.google.com include:a.example ~all",),
            "a.example": (f"v=spf1 include:{OURS} ~all",),
        }
    )
    assert result["SPF"].grade == "bad"


def test_a_tree_without_end_ends() -> None:
    asked = []

    def fetch(name: str, kind: str) -> Records:
        asked.append(name)
        return Records((f"v=spf1 include:a.{name[:150]} include:b.{name[:150]} ~all",))

    result = spf.look_up(OURS, fetch)
    assert result.cut_off
    assert len(asked) <= spf.MOST_QUERIES


@pytest.mark.parametrize(
    ("record", "grade", "words"),
    [
        ("gone", "warn", "does not sign as"),
        ("no_answer", "unknown", "could not be looked up"),
        (("v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAJ2Q8dZ7",), "bad", "cannot be read"),
        (("v=DKIM1; p=",), "bad", "revoked"),
        (("v=DKIM1; p=%%%",), "bad", "cannot be read"),
        (("v=DKIM2; p=x",), "bad", "cannot be read"),
        ((GOOD_KEY.replace("v=DKIM1; ", ""),), "good", "There is a DKIM key"),
        ((GOOD_KEY + "; t=y",), "warn", "only a test"),
        (("k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=",), "good", "There is a DKIM key"),
        (("k=ed25519; p=short",), "bad", "cannot be read"),
    ],
)
def test_dkim(record: tuple[str, ...] | str, grade: str, words: str) -> None:
    result = advice({f"google._domainkey.{OURS}": record})["DKIM"]
    assert (result.grade, words in result.text) == (grade, True), result.text


def test_a_weak_key_is_said_to_be_weak() -> None:
    weak = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKj34GkxFhD90vcNLYLInFEX6Ppy1tPf9Cnzj4p4WGeKLs1Pt8Q"
    weak += "uKUpRKfFLfRYC9AIKjbJTWit+CqvjWYzvQwECAwEAAQ=="
    result = advice({f"google._domainkey.{OURS}": (f"v=DKIM1; p={weak}",)})["DKIM"]
    assert (result.grade, "only 512 bits" in result.text) == ("bad", True)


def test_one_good_key_among_bad_ones_is_enough() -> None:
    zone: Zone = {f"selector1._domainkey.{OURS}": ("p=",), f"selector2._domainkey.{OURS}": (GOOD_KEY,)}
    assert advice(zone, "microsoft")["DKIM"].grade == "good"


def test_for_another_server_no_key_is_no_verdict() -> None:
    result = advice({f"google._domainkey.{OURS}": "gone"}, "other")
    assert (result["DKIM"].grade, result["SPF"].grade) == ("unknown", "good")


@pytest.mark.parametrize(
    ("record", "grade", "words"),
    [
        ("gone", "warn", "no DMARC policy"),
        (("v=DMARC1; p=none",), "good", "p=none"),
        (("v=DMARC1;p=quarantine;pct=200",), "good", "p=quarantine"),
        (("v=DMARC1; p=reject", "v=DMARC1; p=none"), "bad", "several"),
        (("v=DMARC1; p=refuse",), "bad", "cannot be read"),
        (("v=DMARC1",), "bad", "cannot be read"),
        (("p=reject; v=DMARC1",), "warn", "no DMARC policy"),
        (("v=DMARC10; p=reject",), "warn", "no DMARC policy"),
        ("no_answer", "unknown", "could not be looked up"),
    ],
)
def test_dmarc(record: tuple[str, ...] | str, grade: str, words: str) -> None:
    result = advice({f"_dmarc.{OURS}": record})["DMARC"]
    assert (result.grade, words in result.text) == (grade, True), result.text


@pytest.mark.parametrize(
    ("policy", "grade", "words"),
    [("none", "warn", "only reported"), ("quarantine", "bad", "in spam"), ("reject", "bad", "refused")],
)
def test_a_policy_that_our_mail_does_not_fit(policy: str, grade: str, words: str) -> None:
    broken: Zone = {OURS: "gone", f"google._domainkey.{OURS}": "gone", f"_dmarc.{OURS}": (f"v=DMARC1; p={policy}",)}
    result = advice(broken)["DMARC"]
    assert (result.grade, words in result.text) == (grade, True), result.text


def test_one_of_both_in_our_name_is_enough_for_dmarc() -> None:
    assert advice({OURS: "gone"})["DMARC"].grade == "good"
    assert advice({f"google._domainkey.{OURS}": "gone"})["DMARC"].grade == "good"


def test_a_subdomain_has_the_policy_of_the_domain_above_it() -> None:
    zone: Zone = {"_dmarc.seller.example": ("v=DMARC1; p=none; sp=reject",)}
    result = advice(zone, domain="sales.eu.seller.example")["DMARC"]
    assert (result.grade, "p=reject at seller.example" in result.text) == ("bad", True), result.text


def test_at_gmail_com_there_is_nothing_to_publish() -> None:
    (result,) = advice({}, domain="gmail.com").values()
    assert (result.grade, result.publish) == ("good", ())


def test_what_is_proposed_is_read_as_good_again() -> None:
    fixed = {
        p.name: (p.value,)
        for topic in ("SPF", "DMARC")
        for p in advice({OURS: "gone", f"_dmarc.{OURS}": "gone"})[topic].publish
    }
    assert set(fixed) == {OURS, f"_dmarc.{OURS}"}
    assert {a.grade for a in advice(fixed).values()} == {"good"}


@given(st.lists(st.text(max_size=200), max_size=4), st.sampled_from(["", "v=spf1 ", "v=DMARC1;", "v=DKIM1; p="]))
def test_no_record_raises(values: list[str], start: str) -> None:
    records = tuple(start + value for value in values)
    for preset in ("gmail", "other"):
        find_and_advise = find(OURS, SENDING[preset], lambda name, kind: Records(records))
        assert advise(OURS, SENDING[preset], find_and_advise, "a@b.example")
    parse_dmarc(records, inherited=True)
    for record in records:
        parse_dkim(record)


@pytest.fixture
def dns() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


def quoted(zone: Zone) -> dict[tuple[str, str], tuple[str, ...]]:
    """In strings of 200 characters, as long records must be."""
    return {(name, "TXT"): tuple(_strings(value) for value in values) for name, values in zone.items()}


def _strings(value: str) -> str:
    return " ".join(f'"{value[i : i + 200]}"' for i in range(0, len(value), 200))


def test_asked_of_a_real_dns_server(context: AppContext, people: People, smtp_sink: SmtpSink, dns: NameServer) -> None:
    dns.records = quoted(GOOD)
    account = people.account(people.user(), smtp_sink, preset="gmail")
    result = advice_for(replace(context, name_server=dns.address), account)
    assert [(a.topic, a.grade) for a in result] == [("SPF", "good"), ("DKIM", "good"), ("DMARC", "good")]
    assert len(dns.asked) == len(set(dns.asked)) == 4


def test_a_dns_server_that_is_silent_keeps_nobody_waiting(
    context: AppContext, people: People, smtp_sink: SmtpSink, dns: NameServer
) -> None:
    names = [OURS, f"_dmarc.{OURS}", *(f"{s}._domainkey.{OURS}" for s in SENDING["other"].dkim_selectors)]
    dns.silent = set(names)
    account = people.account(people.user(), smtp_sink)
    began = time.monotonic()
    result = advice_for(replace(context, name_server=dns.address), account)
    assert time.monotonic() - began < TOTAL_SECONDS + 3
    assert {a.grade for a in result} == {"unknown"}


def test_names_that_never_exist_are_not_asked_for(context: AppContext, people: People, smtp_sink: SmtpSink) -> None:
    (result,) = advice_for(context, people.account(people.user(), smtp_sink))
    assert (result.grade, "nothing was looked up" in result.text) == ("unknown", True)
