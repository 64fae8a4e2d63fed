"""`inkling judge`: hits or sequences of hits as JSON Lines in, one final verdict per event as JSON Lines out."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import replace

from tracker.engagement.judge.case import known_age
from tracker.engagement.judge.ip_addresses import AddressHit, resolve_addresses
from tracker.engagement.judge.judge_input import FieldProblem, JudgeRequest, read_line
from tracker.engagement.judge.sequence import TimedHit, judged_hits, merge_duplicates
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.verdict import alertable
from tracker.engagement.judge.windows import Windows


class BadLines(Exception):
    """Raised after the last line when some could not be read: one sentence each, naming line and field."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("; ".join(sentences))
        self.sentences = sentences


def judge_lines(lines: Iterable[str], windows: Windows = Windows()) -> Iterator[str]:
    """One object `{"id", "event", "class", "confidence", "reasons", "alert"}` per event, in the order of the input.

    The verdict is the final word, after settling and fold-back; a line without `id` is called by its number. `alert`
    says whether a person would be told of the event: by class and confidence, of a mail proxy only from 60 s after sending,
    of nothing while the sender has the thread on the screen, and once for what is one act: loads of one copy's pixel within
    30 s, and clicks on one link within 10 s, are one reading and one click, as the bell has it.

    Lines that cannot be read are left out; after the last line `BadLines` is raised and names them.
    """
    bad: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip().strip("\ufeff"):
            continue
        try:
            asked = read_line(line.strip().lstrip("\ufeff"), number)
        except FieldProblem as problem:
            bad.append(f"line {number}: {problem}")
            continue
        hits = judge_request(asked, windows)
        repeats = _repeats(asked, hits, windows) if len(hits) > 1 else ()
        for event, hit in enumerate(hits):
            yield _answer(asked, event, hit, is_repeat=event in repeats)
    if bad:
        raise BadLines(bad)


def judge_request(asked: JudgeRequest, windows: Windows = Windows()) -> list[SequenceHit]:
    """Each event with its final verdict. Where a sequence names several recipients, S6 looks at each address as well."""
    groups: dict[tuple[str, str], list[TimedHit]] = defaultdict(list)
    for event, (whose, evidence) in enumerate(zip(asked.whose, asked.events, strict=True)):
        groups[whose].append((event, known_age(evidence), evidence))
    hits = {hit.key: hit for group in groups.values() for hit in judged_hits(group, windows)}
    ordered = [hits[event] for event in range(len(asked.events))]
    if len(groups) <= 1:
        return ordered
    final = resolve_addresses([_address_hit(asked, event, hit) for event, hit in enumerate(ordered)], windows)
    return [replace(hit, verdict=final[hit.key]) for hit in ordered]


def _address_hit(asked: JudgeRequest, event: int, hit: SequenceHit) -> AddressHit:
    _message, recipient = asked.whose[event]
    return AddressHit(event, hit.t, recipient, hit.evidence, hit.verdict)


def _repeats(asked: JudgeRequest, hits: list[SequenceHit], windows: Windows) -> set[Hashable]:
    """The events that only repeat what a person would have been told of already; one without a time repeats nothing."""
    copies: dict[tuple[str, str], list[SequenceHit]] = defaultdict(list)
    for whose, hit in zip(asked.whose, hits, strict=True):
        if hit.t == hit.t and alertable(hit.verdict):
            copies[whose].append(hit)
    return {event for copy in copies.values() if len(copy) > 1 for event in merge_duplicates(copy, windows)}


def _answer(asked: JudgeRequest, event: int, hit: SequenceHit, is_repeat: bool) -> str:
    verdict = hit.verdict
    answer = {
        "id": asked.id,
        "event": event,
        "class": verdict.klass,
        "confidence": verdict.confidence,
        "reasons": [reason.sentence() for reason in verdict.reasons],
        "alert": alertable(verdict) and not hit.evidence.state.thread_open and not is_repeat,
    }
    return json.dumps(answer, ensure_ascii=False)
