"""Whatever a client sends, the judge answers, and the answer is well formed."""

import json
from contextlib import suppress
from dataclasses import replace
from typing import get_args

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.engagement.hit_makers import CHROME, FIREFOX, GMAIL_PROXY, OUTLOOK, judge_sequence
from tracker.engagement.judge.browser_score import browser_score
from tracker.engagement.judge.browsers import RELEASES
from tracker.engagement.judge.case import open_case
from tracker.engagement.judge.classify import classify, classify_case
from tracker.engagement.judge.client_names import client_name
from tracker.engagement.judge.evidence import Evidence, HitState, Kind, Net
from tracker.engagement.judge.first_stage import FirstStage
from tracker.engagement.judge.judge_lines import BadLines, judge_lines
from tracker.engagement.judge.sequence import merge_duplicates, resolve, speak_for_others
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.verdict import Judgement, VerdictClass, alertable, settle_seconds
from tracker.engagement.judge.windows import Windows

AGENTS = [CHROME, FIREFOX, OUTLOOK, GMAIL_PROXY, "Mozilla/5.0", "", "curl/8", "Chrome/" + "9" * 40]
HEADERS = [
    "user-agent",
    "User-Agent",
    "accept",
    "accept-language",
    "sec-fetch-user",
    "sec-purpose",
    "sec-ch-ua",
    "referer",
]
ADDRESSES = ["198.51.100.23", "192.0.2.9", "40.107.1.1", "66.249.84.3", "::ffff:40.107.1.1", "fe80::1%eth0", "", "x"]

texts = st.text(max_size=60)
numbers = st.one_of(st.none(), st.floats(), st.integers())
nets = st.builds(
    Net,
    asn=st.one_of(st.none(), st.sampled_from([15169, 8075, 22843, 16509]), st.integers()),
    org=st.one_of(st.none(), texts),
    rdns=st.one_of(st.none(), texts),
    tags=st.frozensets(st.one_of(texts, st.sampled_from(["hosting", "apple_relay", "tor", "eop"])), max_size=3),
)
states = st.builds(
    HitState,
    recipient_mx=st.one_of(st.none(), texts, st.sampled_from(["google", "pphosted.com"])),
    sender_provider=st.one_of(st.none(), texts, st.just("google")),
    app_session=st.booleans(),
    self_heads_up_s=numbers,
    prior_human_open_same_ip=st.booleans(),
    https=st.one_of(st.none(), st.booleans()),
)
hits = st.builds(
    Evidence,
    kind=st.sampled_from(get_args(Kind)),
    ip=st.one_of(st.sampled_from(ADDRESSES), texts),
    method=st.one_of(st.just("GET"), texts),
    headers=st.dictionaries(st.one_of(st.sampled_from(HEADERS), texts), st.one_of(st.sampled_from(AGENTS), texts)),
    seconds_after_send=st.one_of(numbers, st.floats(0, 100)),
    net=nets,
    state=states,
    link=st.one_of(st.none(), st.integers(0, 4), st.just("honeypot")),
    links_in_message=st.one_of(st.none(), st.integers()),
)


def assert_well_formed(verdict: Judgement) -> None:
    assert verdict.klass in get_args(VerdictClass)
    assert 0 <= verdict.confidence <= 1
    assert verdict.reasons
    assert all(reason.sentence() for reason in verdict.reasons)


@settings(max_examples=300)
@given(hits)
def test_classify_answers_any_hit(hit: Evidence) -> None:
    verdict = classify(hit)
    assert_well_formed(verdict)
    assert alertable(verdict) in (True, False)
    assert settle_seconds(hit, verdict) > 0
    assert isinstance(client_name(hit.headers), str)


@settings(max_examples=200)
@given(st.lists(hits, max_size=8))
def test_judge_sequence_answers_any_sequence(sequence: list[Evidence]) -> None:
    verdicts = judge_sequence(list(enumerate(sequence)))
    assert set(verdicts) == set(range(len(sequence)))
    for verdict in verdicts.values():
        assert_well_formed(verdict)
    judged = [SequenceHit(at, hit.seconds_after_send or 0, hit, verdicts[at]) for at, hit in enumerate(sequence)]
    assert set(merge_duplicates(judged)) < set(range(len(sequence))) or not sequence


AGES = st.sampled_from([None, -1.0, 0.0, 59.9, 899.0, 3599.9, 3600.0, 4e5])
aged = st.builds(lambda hit, age: replace(hit, seconds_after_send=age), hits, AGES)
BY_RULES = Windows(), RELEASES, ()


@settings(max_examples=100)
@given(st.lists(aged, min_size=1, max_size=4), st.sampled_from(ADDRESSES))
def test_a_request_that_is_remembered_is_judged_as_if_it_were_the_first(sequence: list[Evidence], ip: str) -> None:
    stage = FirstStage(*BY_RULES)
    for hit in (*sequence, *(replace(hit, ip=ip, link=3, links_in_message=7) for hit in sequence), *sequence):
        case, verdict = stage(hit)
        fresh = open_case(hit, *BY_RULES)
        assert verdict == classify_case(fresh)
        assert (case.headers, case.agent, case.browser, case.facts) == (
            fresh.headers,
            fresh.agent,
            fresh.browser,
            fresh.facts,
        )
        assert browser_score(case.without_age()) == browser_score(fresh.without_age())
        assert all(case.younger_than(seconds) == fresh.younger_than(seconds) for seconds in (600, 1800))


@settings(max_examples=100)
@given(st.lists(st.tuples(aged, st.floats(0, 120)), max_size=5))
def test_where_no_hit_speaks_for_others_the_sequence_says_nothing(sequence: list[tuple[Evidence, float]]) -> None:
    judged = [SequenceHit(at, t, hit, classify(hit)) for at, (hit, t) in enumerate(sequence)]
    if not speak_for_others(judged, Windows()):
        assert resolve(judged) == {hit.key: hit.verdict for hit in judged}


@settings(max_examples=200)
@given(hits, st.floats(0, 1e6))
def test_what_others_do_never_makes_a_person_of_a_machine(hit: Evidence, seconds: float) -> None:
    alone = judge_sequence([(0, hit)])[0]
    other = Evidence("click", "192.0.2.9", seconds_after_send=seconds, link="honeypot")
    together = judge_sequence([(0, hit), (1, other)])[0]
    assert alone.klass == together.klass or together.klass == "security_scanner"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
FIELDS = [
    "id",
    "kind",
    "method",
    "headers",
    "ip",
    "seconds_after_send",
    "t",
    "net",
    "state",
    "link",
    "links_in_message",
]
objects = st.dictionaries(st.sampled_from(FIELDS), json_values)
lines = st.one_of(
    texts,
    st.builds(json.dumps, json_values),
    st.builds(lambda extra: json.dumps({"kind": "click", "ip": "192.0.2.9", **extra}), objects),
    st.builds(
        lambda hits: json.dumps({"kind": "open", "ip": "192.0.2.9", "sequence": hits}), st.lists(objects, max_size=3)
    ),
)


@settings(max_examples=300)
@given(st.lists(lines, max_size=4))
def test_judge_lines_raises_nothing_but_bad_lines(given_lines: list[str]) -> None:
    answered: list[str] = []
    with suppress(BadLines):
        answered += judge_lines(given_lines)
    for answer in map(json.loads, answered):
        assert set(answer) == {"id", "event", "class", "confidence", "reasons", "alert"}
