"""Where a recipient's domain gets its mail: asked of a real DNS server, remembered, never asked for while somebody waits."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlmodel import col, select, update

from tests.fixtures.contexts import People
from tests.fixtures.leases import hold, holder
from tests.servers import SmtpSink, wait_until
from tests.servers.dns import NameServer, name_server
from tracker.mail import recipient_mx as mx
from tracker.mail.mail_providers import KNOWN
from tracker.models import Delivery, DomainProfile
from tracker.outbound.queue import send_due
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@pytest.fixture(scope="module")
def dns() -> Iterator[NameServer]:
    with name_server() as server:
        yield server


@pytest.fixture
def with_dns(context: AppContext, dns: NameServer) -> AppContext:
    dns.asked.clear()
    return replace(context, name_server=dns.address)


def profile(context: AppContext, domain: str) -> DomainProfile:
    with context.database.reading() as session:
        return session.get_one(DomainProfile, domain)


def want(context: AppContext, *addresses: str) -> None:
    with context.database.session_scope() as session:
        mx.request(session, addresses)


def look_up_all(context: AppContext) -> None:
    while mx.look_up_due(context):
        pass


def send_all(context: AppContext) -> None:
    while send_due(context):
        pass


@pytest.mark.parametrize(
    ("records", "family"),
    [
        (("10 mx0a-00123.pphosted.com.",), "proofpoint"),
        (("10 mx1-us1.ppe-hosted.com.", "20 mx2-us1.ppe-hosted.com."), "proofpoint"),
        (("10 eu-smtp-inbound-1.mimecast.com.",), "mimecast"),
        (("10 d1.a.ess.de.barracudanetworks.com.",), "barracuda"),
        (("10 esa1.client.iphmx.com.",), "cisco"),
        (("10 cluster5.eu.messagelabs.com.",), "symantec"),
        (("1 ASPMX.L.GOOGLE.COM.", "5 alt1.aspmx.l.google.com."), "google"),
        (("0 client-com.mail.protection.outlook.com.",), "microsoft"),
        (("10 mta5.am0.yahoodns.net.",), "yahoo"),
        (("10 mx.yandex.net.",), "yandex"),
        (("10 emx.mail.ru.",), "mailru"),
        (("10 mx01.mail.icloud.com.",), "apple"),
        (("10 mail.client.com.",), None),
    ],
)
def test_families_from_records(
    with_dns: AppContext, dns: NameServer, records: tuple[str, ...], family: str | None
) -> None:
    dns.mx["client.com"] = records
    answer = mx.look_up(with_dns, "client.com")
    assert (answer.mx_family, answer.problem) == (family, "")
    assert answer.host == records[0].split()[1].rstrip(".").lower()


def test_the_preferred_exchanger_decides_and_an_unknown_one_does_not_hide_the_next(
    with_dns: AppContext, dns: NameServer
) -> None:
    dns.mx["client.com"] = ("20 client-com.mail.protection.outlook.com.", "10 mx.pphosted.com.")
    assert mx.look_up(with_dns, "client.com") == mx.MxAnswer("proofpoint", "mx.pphosted.com")
    dns.mx["client.com"] = ("20 client-com.mail.protection.outlook.com.", "10 relay.client.com.")
    assert mx.look_up(with_dns, "client.com") == mx.MxAnswer("microsoft", "relay.client.com")


def test_what_has_no_exchanger(with_dns: AppContext, dns: NameServer) -> None:
    dns.mx |= {"null.com": ("0 .",), "bare.com": ()}
    assert mx.look_up(with_dns, "null.com") == mx.MxAnswer(problem="no_mail")
    assert mx.look_up(with_dns, "bare.com") == mx.MxAnswer(problem="no_mx")
    assert mx.look_up(with_dns, "nobody.com") == mx.MxAnswer(problem="no_domain")


def test_a_server_without_an_answer_is_asked_again_later_and_what_was_known_stays(
    with_dns: AppContext, dns: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mx, "ANSWER_SECONDS", 0.05)
    monkeypatch.setattr(mx, "ALL_SECONDS", 0.1)
    dns.mx["slow.com"] = ("10 mx.pphosted.com.",)
    want(with_dns, "anna@slow.com", "anna@broken.com")
    dns.silent, dns.failing = set(), {"broken.com"}
    look_up_all(with_dns)
    assert profile(with_dns, "slow.com").mx_family == "proofpoint"
    assert (profile(with_dns, "broken.com").problem, profile(with_dns, "broken.com").tries) == ("no_answer", 1)
    dns.silent = {"slow.com"}
    with with_dns.database.session_scope() as session:
        session.exec(update(DomainProfile).values(due_at=now()))
    look_up_all(with_dns)
    slow, broken = profile(with_dns, "slow.com"), profile(with_dns, "broken.com")
    assert (slow.mx_family, slow.problem) == ("proofpoint", "no_answer")
    assert broken.tries == 2
    assert broken.due_at is not None
    assert timedelta(minutes=9) < broken.due_at - now() <= timedelta(minutes=10)
    dns.silent, dns.failing = set(), set()


def test_an_answer_is_believed_for_a_week_and_so_is_that_there_is_none(with_dns: AppContext, dns: NameServer) -> None:
    dns.mx["client.com"] = ("10 mx.mimecast.com.",)
    for _ in range(3):
        want(with_dns, "anna@Client.com", "luc@client.com", "x@nobody.com")
        look_up_all(with_dns)
    assert sorted(dns.asked) == ["client.com", "nobody.com"]
    with with_dns.database.session_scope() as session:
        session.exec(update(DomainProfile).values(looked_up_at=now() - timedelta(days=6, hours=23)))
    want(with_dns, "anna@client.com", "x@nobody.com")
    assert profile(with_dns, "client.com").due_at is None
    with with_dns.database.session_scope() as session:
        session.exec(update(DomainProfile).values(looked_up_at=now() - timedelta(days=7, minutes=1)))
    dns.mx["nobody.com"] = ("10 aspmx.l.google.com.",)
    want(with_dns, "anna@client.com", "x@nobody.com")
    look_up_all(with_dns)
    assert profile(with_dns, "nobody.com").mx_family == "google"
    assert len(dns.asked) == 4


def test_names_that_never_exist_are_never_asked_for(context: AppContext) -> None:
    for domain in ("client.example", "printer.local", "a.onion", "box.localhost", "x.test", "y.invalid"):
        assert mx.look_up(context, domain) == mx.MxAnswer(problem="special")


def test_a_copy_carries_the_family_when_it_leaves(
    with_dns: AppContext, dns: NameServer, people: People, smtp_sink: SmtpSink
) -> None:
    dns.mx |= {"first.com": ("10 mx.pphosted.com.",), "later.com": ("10 eu-smtp-inbound-1.mimecast.com.",)}
    alice = people.user()
    people.account(alice, smtp_sink)
    people.send(alice, "anna@first.com")
    look_up_all(with_dns)
    people.send(alice, "luc@first.com", "kim@later.com", "x@client.example")
    send_all(with_dns)
    assert families(with_dns) == {
        "anna@first.com": "proofpoint",
        "luc@first.com": "proofpoint",
        "kim@later.com": None,
        "x@client.example": None,
    }
    look_up_all(with_dns)
    assert families(with_dns)["kim@later.com"] == "mimecast", "the answer came after the copy had left"
    assert families(with_dns)["x@client.example"] is None


def families(context: AppContext) -> dict[str, str | None]:
    with context.database.reading() as session:
        return dict(session.exec(select(Delivery.address, Delivery.mx_family)).all())


def test_only_one_worker_asks(with_dns: AppContext, dns: NameServer) -> None:
    want(with_dns, "anna@client.com")
    hold(with_dns, "mx", "client.com", seconds=1)
    assert mx.look_up_due(with_dns) == 0
    wait_until(lambda: mx.look_up_due(with_dns))
    assert holder(with_dns, "mx", "client.com") is None


def test_wanting_the_same_twice_at_once_is_no_mistake(context: AppContext) -> None:
    with context.database.session_scope() as session:
        mx.request(session, ["anna@client.com"])
        session.flush()
        mx._add(session, "client.com")
    with context.database.reading() as session:
        assert len(session.exec(select(DomainProfile).where(col(DomainProfile.domain) == "client.com")).all()) == 1


def test_every_family_has_a_name() -> None:
    assert {"proofpoint", "mimecast", "barracuda", "cisco", "google", "microsoft", "apple"} <= KNOWN
