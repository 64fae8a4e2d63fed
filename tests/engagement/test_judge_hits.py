"""Every labelled request in tests/data/hits, through the same door as `inkling judge`."""

import json
from pathlib import Path
from typing import Any

import pytest

from tracker.engagement.judge.judge_input import read_line
from tracker.engagement.judge.judge_lines import judge_lines, judge_request
from tracker.engagement.judge.reasons import SENTENCES
from tracker.engagement.judge.verdict import Judgement

FOLDER = Path(__file__).parents[1] / "data" / "hits"


def cases() -> list[Any]:
    return [
        pytest.param(json.loads(line), id=f"{path.stem}: {json.loads(line)['id']}")
        for path in sorted(FOLDER.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]


@pytest.mark.parametrize("case", cases())
def test_class_and_alert_are_what_the_label_says(case: dict[str, Any]) -> None:
    answers = [json.loads(line) for line in judge_lines([json.dumps(case)])]
    assert [[answer["class"], answer["alert"]] for answer in answers] == case["expect"], answers


def final_verdicts(case: dict[str, Any]) -> list[Judgement]:
    return [hit.verdict for hit in judge_request(read_line(json.dumps(case), 1))]


@pytest.mark.parametrize("case", cases())
def test_every_verdict_gives_reasons_in_full_words(case: dict[str, Any]) -> None:
    for verdict in final_verdicts(case):
        assert verdict.reasons
        assert 0 < verdict.confidence <= 0.99
        for reason in verdict.reasons:
            assert reason.code in SENTENCES
            assert "?" not in reason.sentence()


def test_every_reason_is_shown_by_some_case() -> None:
    verdicts = [verdict for param in cases() for verdict in final_verdicts(param.values[0])]
    shown = {reason.code for verdict in verdicts for reason in verdict.reasons}
    # said by people, and of letters that answer a copy: no hit shows these
    not_of_hits = {
        code
        for code in SENTENCES
        if code.startswith(("user_said_", "answered_by_")) or code in ("struck", "server_said", "delivery_delayed")
    }
    assert set(SENTENCES) - shown - not_of_hits == set(), "add a case to tests/data/hits that teaches these reasons"


def test_enough_cases_and_no_two_of_one_name() -> None:
    names = [param.values[0]["id"] for param in cases()]
    assert len(names) >= 150
    assert len(names) == len(set(names))
