"""Every trap of the public side and of counting has a test that bears its number, or one that is named here, or a reason.

E: the image. F: the redirect. G: people, not machines. The number stands in the name of the test (`test_e05_…`, `test_g6_g7_…`)
or at the beginning of a row of its table (`"G1 …"`).
"""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent.parent
HOW_MANY = {"E": 23, "F": 32, "G": 35}
TRAPS = [f"{letter}{number}" for letter, count in HOW_MANY.items() for number in range(1, count + 1)]

UNDER_ANOTHER_NAME = {
    "E14": "pixel/test_proxies.py::test_who_the_client_is",
    "E22": "commands/test_check_command.py::test_a_tracking_host_with_something_in_front_of_it",
    "E23": "web/test_message_content.py::test_our_own_pixel_and_redirects_are_taken_out_of_what_is_quoted",
    "F10": "pixel/test_tokens.py::test_shortened_and_lengthened_tokens_are_refused",
    "F16": "engagement/test_ingest.py::test_with_tracking_switched_off_nothing_more_is_kept",
    "F23": "engagement/test_sequence_rules.py::test_repeated_click_within_ten_seconds_is_merged",
    "F27": "commands/test_check_command.py::test_a_tracking_host_that_does_not_answer",
    "F30": "pixel/test_click_traps.py::test_both_dots_and_percent_signs_are_only_junk",
    "G14": "engagement/test_judge_hits.py::test_class_and_alert_are_what_the_label_says",
    "G15": "web/test_alert_settings.py::test_an_administrator_switches_the_hidden_link",
    "G16": "web/test_message_actions.py::test_looking_reads_the_bell_but_a_get_changes_nothing",
    "G20": "engagement/test_nothing_left.py::test_nothing_tells_who_it_was_once_the_evidence_is_gone",
    "G21": "engagement/test_ingest.py::test_the_same_hit_read_twice_is_one_event",
    "G28": "pixel/test_spool_trouble.py::test_e12_a_full_disk_loses_no_answer_and_says_so",
    "G31": "inbound/test_answering.py::test_g31_a_reply_is_one_inferred_open_of_a_copy_that_may_be_measured",
    "G32": "engagement/test_ingest.py::test_the_senders_own_browser_never_counts",
    "G33": "web/test_message_page.py::test_g33_g34_the_timeline_says_at_least_and_who_may_hold_the_copy",
    "G34": "web/test_message_page.py::test_g33_g34_the_timeline_says_at_least_and_who_may_hold_the_copy",
}
WITHOUT_A_TEST = {
    "F26": "A token is read by the edge alone, which has no mail to show; no page of the tracker takes one"
    " (`pixel` imports nothing of `tracker`: tests/test_import_contracts.py).",
    "F28": "The tracking host is the operator's own sub-domain; there is no shared one that a list could name.",
    "G26": "Counters are recomputed for the messages of a batch, one query per table, never for more;"
    " `python -m tests.bench.ingest` shows that the rate does not fall with the size of the tables.",
}

_NAMED = re.compile(r"_([efg])0?(\d+)(?=_|$)")
_ROW = re.compile(r"([EFG]\d+) ")


@cache
def what_tests_say() -> dict[str, set[str]]:
    """By file, every test's name and the traps that the tests bear. (Other subjects number other things with our letters.)"""
    tests: dict[str, set[str]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        if path != Path(__file__):
            file = str(path.relative_to(TESTS))
            said = set(_said(ast.parse(path.read_text())))
            ours = file.startswith(("pixel/", "engagement/"))
            tests[file] = said if ours else {item for item in said if item.startswith("test_")}
    return tests


def _said(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
            yield node.name
            yield from (f"{letter.upper()}{number}" for letter, number in _NAMED.findall(node.name))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and (row := _ROW.match(node.value)):
            yield row[1]


@pytest.mark.parametrize("trap", TRAPS)
def test_the_trap_has_a_test_or_a_reason(trap: str) -> None:
    ways = [
        any(trap in said for said in what_tests_say().values()),
        trap in UNDER_ANOTHER_NAME,
        trap in WITHOUT_A_TEST,
    ]
    assert sum(ways) == 1, (
        f"Trap {trap}: write a test that bears its number, or name one here, or say why none is needed."
    )


@pytest.mark.parametrize("trap", UNDER_ANOTHER_NAME)
def test_the_named_test_is_there(trap: str) -> None:
    file, _, name = UNDER_ANOTHER_NAME[trap].partition("::")
    assert name in what_tests_say().get(file, set()), f"{UNDER_ANOTHER_NAME[trap]} is gone: what tests trap {trap} now?"


def test_no_number_is_made_up() -> None:
    borne = {said for every in what_tests_say().values() for said in every if re.fullmatch(r"[EFG]\d+", said)}
    assert borne <= set(TRAPS)
