"""Edges of the sequence rules, duplicates, settle times, and one address for many recipients."""

from dataclasses import replace

import pytest

from tests.engagement.hit_makers import (
    CHROME,
    ELSEWHERE,
    FIREFOX,
    GMAIL_PROXY,
    HOME,
    OUTLOOK,
    click,
    judge_sequence,
    opened,
)
from tracker.engagement.judge.classify import classify
from tracker.engagement.judge.evidence import Evidence, HitState, Net
from tracker.engagement.judge.ip_addresses import AddressHit, resolve_addresses
from tracker.engagement.judge.sequence import merge_duplicates, resolve
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.verdict import settle_seconds
from tracker.engagement.judge.windows import Windows


def classes(*hits: Evidence) -> list[str]:
    verdicts = judge_sequence(list(enumerate(hits)))
    return [verdicts[at].klass for at in range(len(hits))]


def judged(*hits: Evidence) -> list[SequenceHit]:
    return [SequenceHit(at, hit.seconds_after_send or 0, hit, classify(hit)) for at, hit in enumerate(hits)]


PEOPLE = ["human", "human"]
MACHINES = ["security_scanner", "security_scanner"]


@pytest.mark.parametrize(("apart", "expected"), [(1.0, MACHINES), (1.1, PEOPLE)])
def test_two_links_within_a_second_are_a_burst(apart: float, expected: list[str]) -> None:
    assert classes(click(seconds=600), click(seconds=600 + apart, link=1)) == expected


@pytest.mark.parametrize(("apart", "klass"), [(5.0, "security_scanner"), (5.1, "human")])
def test_three_links_within_ten_seconds_are_a_burst(apart: float, klass: str) -> None:
    clicks = [click(seconds=600 + apart * link, link=link) for link in range(3)]
    assert classes(*clicks) == [klass] * 3


@pytest.mark.parametrize(("apart", "klass"), [(-30.0, "security_scanner"), (30.0, "security_scanner"), (31.0, "human")])
def test_hidden_link_takes_everybody_within_thirty_seconds(apart: float, klass: str) -> None:
    trap = click(seconds=4000, link="honeypot", ip=ELSEWHERE)
    assert classes(click(seconds=4000 + apart), trap)[0] == klass


@pytest.mark.parametrize(("apart", "klass"), [(900.0, "security_scanner"), (901.0, "human")])
def test_hidden_link_takes_its_neighbourhood_within_fifteen_minutes(apart: float, klass: str) -> None:
    trap = click(seconds=4000, link="honeypot", ip="198.51.100.250")
    assert classes(click(seconds=4000 - apart), trap)[0] == klass


@pytest.mark.parametrize(("apart", "expected"), [(5.0, MACHINES), (5.1, PEOPLE)])
def test_two_agents_of_one_address_within_five_seconds(apart: float, expected: list[str]) -> None:
    assert classes(click(seconds=600), click(agent=FIREFOX, seconds=600 + apart)) == expected


def test_two_agents_of_two_addresses_are_no_rotation() -> None:
    assert classes(opened(seconds=600), opened(agent=FIREFOX, seconds=602, ip=ELSEWHERE)) == PEOPLE


@pytest.mark.parametrize(("apart", "klass"), [(30.0, "security_scanner"), (31.0, "human")])
def test_pair_on_one_link_within_thirty_seconds(apart: float, klass: str) -> None:
    first, second = classes(click(seconds=600), click(agent=FIREFOX, seconds=600 + apart, ip=ELSEWHERE))
    assert (first, second) == ("human", klass)


def test_pair_within_one_provider_is_one_person_on_the_move() -> None:
    first, other = click(seconds=600, net=Net(3320)), click(seconds=620, ip=ELSEWHERE, net=Net(3320))
    assert classes(first, other) == PEOPLE


def test_pair_compares_requests_and_not_their_age() -> None:
    quick_person = click(seconds=28)
    late_machine = click(agent=FIREFOX, seconds=41, ip=ELSEWHERE, headers={"sec-fetch-user": None, "sec-ch-ua": None})
    assert classes(quick_person, late_machine) == ["human", "security_scanner"]


def test_the_reason_of_a_mark_comes_first_and_the_vendor_stays() -> None:
    gateway = click(seconds=1800, net=Net(22843))
    verdicts = judge_sequence([("a", gateway), ("b", replace(gateway, link=1))])
    assert verdicts["a"].reasons[0].code == "burst"
    assert verdicts["a"].vendor == "proofpoint"


def test_an_open_taken_back_no_longer_speaks_for_the_address() -> None:
    """The open came from the scanner's own address, so the click there in Microsoft's network is a machine as well."""
    azure = Net(8075)
    early = opened(seconds=40, ip="20.50.1.1")
    trap = click(seconds=60, link="honeypot", ip="20.50.1.1")
    late = click(agent=FIREFOX, seconds=4000, ip="20.50.1.1", net=azure)
    assert classes(early, trap, late)[2] == "security_scanner"


def test_windows_scale_the_sequence_too() -> None:
    pair = judged(click(seconds=600), click(seconds=600.5, link=1))
    assert {verdict.klass for verdict in resolve(pair).values()} == {"security_scanner"}
    assert {verdict.klass for verdict in resolve(pair, Windows().scaled(0.1)).values()} == {"human"}


def test_resolve_keeps_every_key_and_needs_no_order() -> None:
    hits = judged(click(seconds=700, link=1), opened(seconds=600), click(seconds=699.5))
    assert [resolve(hits)[key].klass for key in (0, 1, 2)] == ["security_scanner"] * 3


def test_many_hits_are_still_resolved() -> None:
    hits = judged(*(click(seconds=600 + n / 10, link=n % 7) for n in range(2000)))
    assert {verdict.klass for verdict in resolve(hits).values()} == {"security_scanner"}


@pytest.mark.parametrize(("apart", "repeats"), [(10.0, {1: 0}), (10.1, {})])
def test_repeated_click_within_ten_seconds_is_merged(apart: float, repeats: dict[int, int]) -> None:
    assert merge_duplicates(judged(click(seconds=600), click(seconds=600 + apart))) == repeats


def test_repeats_of_a_repeat_belong_to_the_first() -> None:
    assert merge_duplicates(judged(*(click(seconds=600 + 8 * n) for n in range(4)))) == {1: 0, 2: 0, 3: 0}


def test_colleagues_behind_one_address_are_not_merged() -> None:
    assert merge_duplicates(judged(click(seconds=600), click(agent=FIREFOX, seconds=605))) == {}


def test_pixel_through_several_proxies_is_merged_and_a_check_is_not() -> None:
    google = Net(15169)
    fetches = [opened(agent=GMAIL_PROXY, seconds=300 + 9 * n, ip=f"66.249.84.{n}", net=google) for n in range(3)]
    assert merge_duplicates(judged(*fetches)) == {1: 0, 2: 0}
    check = opened(seconds=299, ip="40.107.1.1")
    assert merge_duplicates(judged(check, opened(seconds=301))) == {}


@pytest.mark.parametrize(
    ("hit", "seconds"),
    [
        (opened(agent=OUTLOOK, seconds=119), 60),
        (opened(agent=OUTLOOK, seconds=120), 5),
        (opened(agent="Mozilla/5.0", seconds=10), 5),
        (opened(agent=GMAIL_PROXY, seconds=59, net=Net(15169)), 5),
        (opened(agent=GMAIL_PROXY, seconds=61, net=Net(15169)), 60),
        (click(seconds=899), 15),
        (click(seconds=900), 5),
        (click(seconds=None), 5),
    ],
)
def test_settle_times(hit: Evidence, seconds: float) -> None:
    assert settle_seconds(hit, classify(hit)) == seconds


def visits(recipients: list[str], apart: float = 10, ip: str = ELSEWHERE, agent: str = CHROME) -> list[AddressHit]:
    hit = opened(agent=agent, ip=ip)
    return [AddressHit(at, 1e9 + apart * at, who, hit, classify(hit)) for at, who in enumerate(recipients)]


def classes_of(hits: list[AddressHit]) -> list[str]:
    verdicts = resolve_addresses(hits)
    return [verdicts[hit.key].klass for hit in hits]


def test_one_address_with_three_recipients_in_two_domains_is_a_scanner_from_the_first_on() -> None:
    assert classes_of(visits(["a@one.example", "b@one.example", "c@two.example"])) == ["security_scanner"] * 3


@pytest.mark.parametrize(
    "hits",
    [
        visits(["a@one.example", "b@one.example", "c@one.example"]),
        visits(["a@one.example", "A@ONE.example", "c@two.example"]),
        visits(["a@one.example", "b@one.example", "c@two.example"], apart=31),
    ],
)
def test_an_office_is_no_scanner(hits: list[AddressHit]) -> None:
    assert classes_of(hits) == ["human"] * 3


def test_gmail_reads_mail_of_everybody() -> None:
    hits = visits(["a@one.example", "b@two.example", "c@three.example"], ip="66.249.84.3", agent=GMAIL_PROXY)
    assert classes_of(hits) == ["mail_proxy"] * 3


def test_prior_open_of_the_state_counts_like_one_in_the_sequence() -> None:
    azure = Net(8075)
    assert classes(click(net=azure)) == ["security_scanner"]
    assert classes(click(net=azure, state=HitState(prior_human_open_same_ip=True))) == ["human"]
    assert classes(opened(seconds=600, ip=HOME), click(seconds=900, ip=HOME, net=azure)) == PEOPLE
