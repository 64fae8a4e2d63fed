"""`inkling judge`: hits or sequences of hits as JSON Lines in, one final verdict per event as JSON Lines out."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from tracker.engagement.judge.case import known_age
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.ip_addresses import AddressHit, resolve_addresses
from tracker.engagement.judge.judge_input import FieldProblem, JudgeRequest, read_line
from tracker.engagement.judge.sequence import UNKNOWN_TIME, judge_sequence, merge_duplicates
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.verdict import Verdict, alertable
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
        verdicts = judge_asked(asked, windows)
        repeats = _repeats(asked, verdicts, windows)
        for event, (evidence, verdict) in enumerate(zip(asked.events, verdicts, strict=True)):
            yield _answer(asked, event, evidence, verdict, is_repeat=event in repeats)
    if bad:
        raise BadLines(bad)


def judge_asked(asked: JudgeRequest, windows: Windows = Windows()) -> list[Verdict]:
    """The final verdict of each event. Where a sequence names several recipients, S6 looks at each address as well."""
    groups: dict[tuple[str, str], list[tuple[Hashable, Evidence]]] = defaultdict(list)
    for event, whose in enumerate(asked.whose):
        groups[whose].append((event, asked.events[event]))
    final = {key: verdict for group in groups.values() for key, verdict in judge_sequence(group, windows).items()}
    if len(groups) > 1:
        final = resolve_addresses([_address_hit(asked, event, final[event]) for event in range(len(final))], windows)
    return [final[event] for event in range(len(final))]


def _address_hit(asked: JudgeRequest, event: int, verdict: Verdict) -> AddressHit:
    evidence, (_message, recipient) = asked.events[event], asked.whose[event]
    age = known_age(evidence)
    return AddressHit(event, UNKNOWN_TIME if age is None else age, recipient, evidence, verdict)


def _repeats(asked: JudgeRequest, verdicts: list[Verdict], windows: Windows) -> set[Hashable]:
    """The events that only repeat what a person would have been told of already."""
    copies: dict[tuple[str, str], list[SequenceHit]] = defaultdict(list)
    for event, (whose, evidence, verdict) in enumerate(zip(asked.whose, asked.events, verdicts, strict=True)):
        age = known_age(evidence)
        if age is not None and alertable(verdict):
            copies[whose].append(SequenceHit(event, age, evidence, verdict))
    return {event for hits in copies.values() for event in merge_duplicates(hits, windows)}


def _answer(asked: JudgeRequest, event: int, evidence: Evidence, verdict: Verdict, is_repeat: bool) -> str:
    answer = {
        "id": asked.id,
        "event": event,
        "class": verdict.klass,
        "confidence": verdict.confidence,
        "reasons": [reason.sentence() for reason in verdict.reasons],
        "alert": alertable(verdict) and not evidence.state.thread_open and not is_repeat,
    }
    return json.dumps(answer, ensure_ascii=False)
