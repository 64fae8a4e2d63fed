"""`inkling judge`: hits or sequences of hits as JSON Lines in, one final verdict per event as JSON Lines out."""

import json
from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator

from tracker.engagement.judge.case import known_age
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.ip_addresses import AddressHit, resolve_addresses
from tracker.engagement.judge.judge_input import FieldProblem, JudgeRequest, read_line
from tracker.engagement.judge.sequence import UNKNOWN_TIME, judge_sequence
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
    says whether the event is worth telling a person: class and confidence, a mail proxy only from 60 s after sending,
    nothing while the sender has the thread on the screen. An exact duplicate of such an event is true as well: it
    belongs to the same alert, and making one bell line of both is the bell's business, not the verdict's.

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
        for event, (evidence, verdict) in enumerate(zip(asked.events, verdicts, strict=True)):
            yield _answer(asked, event, evidence, verdict)
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


def _answer(asked: JudgeRequest, event: int, evidence: Evidence, verdict: Verdict) -> str:
    answer = {
        "id": asked.id,
        "event": event,
        "class": verdict.klass,
        "confidence": verdict.confidence,
        "reasons": [reason.sentence() for reason in verdict.reasons],
        "alert": alertable(verdict) and not evidence.state.thread_open,
    }
    return json.dumps(answer, ensure_ascii=False)
