"""What `inkling judge` reads and writes."""

import json
from typing import Any

import pytest

from tests.engagement.hit_makers import CHROME
from tracker.engagement.judge.judge_lines import BadLines, judge_lines

GOOD: dict[str, Any] = {"id": "a", "kind": "open", "ip": "198.51.100.23", "headers": {"User-Agent": CHROME}}


def answers(*lines: object) -> list[dict[str, Any]]:
    return [json.loads(line) for line in judge_lines([json.dumps(item) for item in lines])]


def test_kind_and_ip_are_enough() -> None:
    (answer,) = answers({"kind": "open", "ip": "198.51.100.23"})
    assert answer == {
        "id": 1,
        "event": 0,
        "class": "unknown",
        "confidence": 0.4,
        "reasons": ["The image was requested by a program that does not name itself"],
        "alert": False,
    }


def test_nulls_are_as_good_as_missing() -> None:
    names = ["id", "method", "headers", "seconds_after_send", "net", "state", "link", "links_in_message"]
    (answer,) = answers({"kind": "open", "ip": "198.51.100.23", **dict.fromkeys(names)})
    assert answer["class"] == "unknown"


def test_id_comes_back_as_it_was_given() -> None:
    assert [answer["id"] for answer in answers(GOOD, {**GOOD, "id": 0}, {**GOOD, "id": ["x"]})] == ["a", 0, ["x"]]


def test_a_sequence_answers_every_event_in_the_order_given() -> None:
    events = [{"t": 300, "kind": "open"}, {"t": 20, "kind": "click"}, {"kind": "open", "t": 4}]
    verdicts = answers({"id": "s", "ip": "40.107.1.1", "sequence": events})
    assert [(answer["id"], answer["event"]) for answer in verdicts] == [("s", 0), ("s", 1), ("s", 2)]


def test_own_ranges_count_beside_the_net_that_was_given() -> None:
    (answer,) = answers({**GOOD, "ip": "40.107.1.1", "net": {"asn": 64500, "tags": ["residential"]}})
    assert answer["class"] == "security_scanner"


def test_unknown_keys_are_passed_over() -> None:
    (answer,) = answers({**GOOD, "expect": 1, "state": {"moon": "full"}, "net": {"city": "Oslo"}})
    assert answer["id"] == "a"


def test_list_of_header_values_is_one_header() -> None:
    (answer,) = answers({**GOOD, "headers": {"USER-AGENT": [CHROME], "Accept-Language": ["de", "en"], "X": None}})
    assert answer["class"] == "human"


def test_blank_lines_and_a_byte_order_mark_are_no_lines() -> None:
    assert len(list(judge_lines(["\ufeff" + json.dumps(GOOD) + "\r\n", "\n", "   "]))) == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ("{", "line 1: not JSON"),
        ("[1]", "line 1: a line must be an object in braces, not [1]"),
        ({"ip": "x"}, 'line 1: "kind" must be one of open, click, beacon, not missing'),
        ({"kind": "view", "ip": "x"}, 'line 1: "kind" must be one of open, click, beacon, not "view"'),
        ({"kind": "open"}, 'line 1: "ip" is missing; give the address that made the request'),
        ({**GOOD, "ip": 7}, 'line 1: "ip" must be text, not 7'),
        (
            {**GOOD, "seconds_after_send": "soon"},
            'line 1: "seconds_after_send" must be a number of seconds, not "soon"',
        ),
        ({**GOOD, "seconds_after_send": 1e300}, 'line 1: "seconds_after_send" must be a number of seconds'),
        ({**GOOD, "headers": []}, 'line 1: "headers" must be an object in braces, not []'),
        ({**GOOD, "headers": {"accept": {}}}, 'line 1: "headers.accept" must be text, not {}'),
        ({**GOOD, "net": {"asn": "many"}}, 'line 1: "net.asn" must be a whole number, not "many"'),
        ({**GOOD, "net": {"tags": [1]}}, 'line 1: "net.tags" must be a list of texts, not [1]'),
        ({**GOOD, "state": {"app_session": "yes"}}, 'line 1: "state.app_session" must be true or false, not "yes"'),
        ({**GOOD, "link": "first"}, 'line 1: "link" must be a whole number from 0 on or "honeypot", not "first"'),
        ({"sequence": {}}, 'line 1: "sequence" must be a list of hits, not {}'),
        ({"sequence": [{"kind": "open", "ip": "x"}, {"kind": "open"}]}, 'line 1: "sequence[1].ip" is missing'),
    ],
)
def test_a_bad_line_is_named_with_field_and_rule(bad: object, says: str) -> None:
    with pytest.raises(BadLines) as raised:
        list(judge_lines([bad if isinstance(bad, str) else json.dumps(bad)]))
    assert raised.value.sentences[0].startswith(says)


def test_bad_lines_do_not_stop_the_good_ones() -> None:
    answered: list[str] = []
    lines = ["{", json.dumps(GOOD), "nonsense", json.dumps({**GOOD, "id": "b"})]
    with pytest.raises(BadLines) as raised:
        answered.extend(judge_lines(lines))
    assert [json.loads(line)["id"] for line in answered] == ["a", "b"]
    assert [sentence.split(":")[0] for sentence in raised.value.sentences] == ["line 1", "line 3"]
