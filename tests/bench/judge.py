"""Prints how the judge does on tests/data/hits: `python -m tests.bench.judge [folder]`. Numbers, never asserted.

Rows are labels, columns are verdicts. Below: alerts about machines, people without an alert, microseconds per hit.
"""

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import get_args

from tests.bench.figures import add_figure
from tracker.engagement.judge.classify import classify
from tracker.engagement.judge.judge_input import read_line
from tracker.engagement.judge.judge_lines import judge_lines
from tracker.engagement.judge.verdict import VerdictClass

HITS = Path(__file__).parents[1] / "data" / "hits"


def main(folder: Path = HITS) -> None:
    lines = [line for path in sorted(folder.glob("*.jsonl")) for line in path.read_text("utf-8").splitlines()]
    labels = [label for line in lines for label in json.loads(line)["expect"]]
    answers = [json.loads(answer) for answer in judge_lines(lines)]
    print_table(Counter((label[0], answer["class"]) for label, answer in zip(labels, answers, strict=True)))
    false_alerts = sum(answer["alert"] and not label[1] for label, answer in zip(labels, answers, strict=True))
    lost_people = sum(label[1] and not answer["alert"] for label, answer in zip(labels, answers, strict=True))
    print(f"\n{len(labels)} events: {false_alerts} false alerts, {lost_people} lost people")
    add_figure("Judge: alerts about machines on the labelled hits", false_alerts, at_most=0)
    add_figure("Judge: people without an alert", lost_people)
    print(f"{microseconds(lines):.0f} µs per hit, User-Agent cached")


def print_table(table: Counter[tuple[str, str]]) -> None:
    classes = get_args(VerdictClass)
    print("label \\ verdict".ljust(18), *(name[:10].rjust(10) for name in classes))
    for label in classes:
        print(label.ljust(18), *(str(table[label, verdict] or "·").rjust(10) for verdict in classes))


def microseconds(lines: list[str]) -> float:
    hits = [hit for number, line in enumerate(lines) for hit in read_line(line, number).events]
    begin = time.perf_counter()
    for _ in range(10):
        for hit in hits:
            classify(hit)
    return (time.perf_counter() - begin) / (10 * len(hits)) * 1e6


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
