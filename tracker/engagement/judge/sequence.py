"""Stage 2: what the other hits of the same message say about each hit. Pure; run again on every new hit.

`judged_hits` does both stages; `resolve` does the second alone. S6 and S7 look at one address over many messages
and live in `ip_addresses`; S5 is in `two_network_clicks`.
"""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from tracker.engagement.judge.browsers import RELEASES, Releases
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.first_stage import FirstStage, first_stage
from tracker.engagement.judge.ip_ranges import Table, same_host_key
from tracker.engagement.judge.sequence_hit import SequenceHit
from tracker.engagement.judge.time_windows import any_within, nearest, pairs, time_windows
from tracker.engagement.judge.two_network_clicks import machine_clicks
from tracker.engagement.judge.verdict import Judgement, Reason
from tracker.engagement.judge.windows import Windows

# Compares false with every window, so a hit without a time is near nothing.
UNKNOWN_TIME = float("nan")
TimedHit = tuple[Hashable, float | None, Evidence]
"""Key, seconds on one clock for all (None: nobody knows), evidence."""

Mark = tuple[Reason, int, Hashable]
Marks = dict[Hashable, Mark]
CONFIDENCE = {
    "near_honeypot": 95,
    "honeypot_neighbour": 95,
    "burst": 90,
    "agent_rotation": 85,
    "open_and_click": 75,
    "cloud_visit": 75,
    "same_address": 85,
}
# What stage 1 knows for certain by the agent or the session is not re-labelled by what others did.
OPEN_TO_DOUBT = ("human", "unknown", "mail_proxy")


def judged_hits(
    hits: Iterable[TimedHit],
    windows: Windows = Windows(),
    releases: Releases = RELEASES,
    tables: Sequence[Table] | None = None,
) -> list[SequenceHit]:
    """Both stages for all hits of one message and recipient, in order of time; each hit with its final verdict.

    An open that was found to be a person's speaks for later hits of its address. When stage 2 takes such an open back,
    what it had spoken for is judged anew.
    """
    ordered = sorted(hits, key=lambda hit: hit[1] or 0.0)
    rules = first_stage(windows, releases, None if tables is None else tuple(tables))
    first = _stage_one(ordered, {}, rules)
    if not speak_for_others(first, windows):
        return first
    verdicts = resolve(first, windows)
    if any(_opened_by_a_person(hit, hit.verdict) != _opened_by_a_person(hit, verdicts[hit.key]) for hit in first):
        first = _stage_one(ordered, verdicts, rules)
        verdicts = resolve(first, windows)
    return [hit if hit.verdict is verdicts[hit.key] else replace(hit, verdict=verdicts[hit.key]) for hit in first]


def _stage_one(
    ordered: Sequence[TimedHit],
    known: Mapping[Hashable, Judgement],
    rules: FirstStage,
) -> list[SequenceHit]:
    hits: list[SequenceHit] = []
    opened: set[str | None] = set()
    for key, at, evidence in ordered:
        host = same_host_key(evidence.ip)
        if host in opened:
            evidence = replace(evidence, state=replace(evidence.state, prior_human_open_same_ip=True))
        case, verdict = rules(evidence)
        hit = SequenceHit(key, UNKNOWN_TIME if at is None else at, evidence, verdict, case)
        if host and _opened_by_a_person(hit, known.get(key, hit.verdict)):
            opened.add(host)
        hits.append(hit)
    return hits


def _opened_by_a_person(hit: SequenceHit, final: Judgement) -> bool:
    """A mail program in Microsoft's network is a person on a rented desktop, though the open is shown as Outlook's."""
    as_person = ("human", "mail_proxy") if hit.in_a_mail_program else ("human",)
    return not hit.is_link and hit.verdict.klass in as_person and final.klass in as_person


_PROOFS = frozenset({"honeypot", "method", "scanner_agent"})
"""What stage 1 says of a hit that speaks for others, however far from it they are."""


def speak_for_others(hits: Sequence[SequenceHit], windows: Windows) -> bool:
    """Whether stage 2 could say anything: most hits of a message are far apart, and `resolve` would change none of them."""
    if len(hits) < 2:
        return False
    reach = max(windows.burst_two, windows.burst_three, windows.rotation, windows.same_moment, windows.pair)
    return any_within((hit.t for hit in hits), reach) or any(
        not _PROOFS.isdisjoint(hit.verdict.codes) or _is_from_cloud(hit, windows) for hit in hits
    )


def resolve(hits: Sequence[SequenceHit], windows: Windows = Windows()) -> dict[Hashable, Judgement]:
    """The final verdict of every hit of one message to one recipient (rules S1–S5), by key."""
    ordered = sorted(hits, key=lambda hit: (hit.t != hit.t, hit.t))
    marks: Marks = {}
    for rule in (_near_honeypot, _bursts, _rotations, machines_of_a_moment, _cloud_visits):
        for key, reason, trigger in rule(ordered, windows):
            marks.setdefault(key, (reason, CONFIDENCE[reason.code], trigger))
    for key, reason, trigger in _spread(ordered, marks, windows):
        marks.setdefault(key, (reason, CONFIDENCE[reason.code], trigger))
    for key, reason, trigger in machine_clicks([hit for hit in ordered if hit.key not in marks], windows):
        marks.setdefault(key, (reason, 80, trigger))
    return {hit.key: _final(hit, marks) for hit in hits}


def _final(hit: SequenceHit, marks: Marks) -> Judgement:
    if hit.key not in marks or hit.verdict.klass not in OPEN_TO_DOUBT:
        return hit.verdict
    reason, hundredths, trigger = marks[hit.key]
    shown_by = None if trigger == hit.key else trigger
    reasons = (reason, *hit.verdict.reasons)
    return Judgement("security_scanner", hundredths / 100, reasons, hit.verdict.vendor, shown_by)


Found = Iterator[tuple[Hashable, Reason, Hashable]]
"""Key of a machine's hit, why it is one, and the key of the hit that showed it."""


def _near_honeypot(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """S1. A preview of a pasted mail, or a browser loading ahead, may meet the hidden link without being a scanner."""
    traps = [hit for hit in ordered if hit.is_settled_as("honeypot") and not _loads_ahead(hit)]
    nearby: dict[Hashable, list[SequenceHit]] = defaultdict(list)
    for trap in traps:
        nearby[trap.neighbourhood].append(trap)
    for hit in ordered if traps else ():
        neighbour, anywhere = nearest(nearby[hit.neighbourhood], hit.t, _time), nearest(traps, hit.t, _time)
        if neighbour is not None and abs(neighbour.t - hit.t) <= windows.honeypot_network:
            yield hit.key, Reason("honeypot_neighbour"), neighbour.key
        elif anywhere is not None and (apart := abs(anywhere.t - hit.t)) <= windows.honeypot_anywhere:
            yield hit.key, Reason("near_honeypot", {"seconds": round(apart)}), anywhere.key


def _time(hit: SequenceHit) -> float:
    return hit.t


def _loads_ahead(hit: SequenceHit) -> bool:
    names = ("sec-purpose", "purpose", "x-moz", "x-purpose")
    return hit.case.agent.role == "preview" or any(name in hit.case.headers for name in names)


def _bursts(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """S2. Two links within a second, or three within ten, unless a person who had opened opens them in tabs."""
    clicks = [hit for hit in ordered if _may_belong_to_a_burst(hit)]
    yield from _clusters(clicks, 2, windows.burst_two)
    # Safe Links asks together with the person, so the slow form counts only those who could be one.
    people = [hit for hit in clicks if not hit.is_settled_as("scanner_network", "provider_link")]
    tabbing = _opens_tabs(people)
    yield from _clusters([hit for hit in people if hit.host not in tabbing], 3, windows.burst_three)


def _may_belong_to_a_burst(hit: SequenceHit) -> bool:
    judged = hit.verdict.klass in (*OPEN_TO_DOUBT, "security_scanner")
    return hit.is_link and hit.evidence.link is not None and judged and not hit.is_settled_as("client_check")


def _opens_tabs(clicks: Sequence[SequenceHit]) -> set[Hashable]:
    """Addresses where a person had opened and every click names its user."""
    opened = {hit.host for hit in clicks if hit.evidence.state.prior_human_open_same_ip}
    return opened - {hit.host for hit in clicks if not hit.user_activated}


def _clusters(clicks: Sequence[SequenceHit], links: int, seconds: float) -> Found:
    for window in time_windows(clicks, _time, seconds):
        distinct = {hit.evidence.link for hit in window}
        if len(distinct) >= links:
            took = round(window[-1].t - window[0].t, 1)
            reason = Reason("burst", {"links": len(distinct), "seconds": took})
            yield from ((hit.key, reason, window[-1].key) for hit in window)


def _rotations(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """S3. A mail program that hands a link over to the browser is two agents and one person."""
    by_host: dict[Hashable, list[SequenceHit]] = defaultdict(list)
    for hit in filter(_may_rotate, ordered):
        by_host[hit.host].append(hit)
    for hits in by_host.values():
        for window in time_windows(hits, _time, windows.rotation):
            if len({hit.agent for hit in window}) > 1:
                reason = Reason("agent_rotation", {"seconds": round(window[-1].t - window[0].t, 1)})
                yield from ((hit.key, reason, window[-1].key) for hit in window)


def _may_rotate(hit: SequenceHit) -> bool:
    judged = hit.verdict.klass in ("human", "unknown", "security_scanner")
    return judged and not hit.in_a_mail_program and not hit.is_settled_as("client_check", "gmail_prefetch")


def _spread(ordered: Sequence[SequenceHit], marks: Marks, windows: Windows) -> Found:
    """S4. Later than the window only the same agent counts: behind an office's address there are people too.

    Gateways share their work among neighbours, so a burst speaks for its /24 or /48 as well.
    """
    by_agent: dict[Hashable, SequenceHit] = {}
    by_place: dict[Hashable, list[SequenceHit]] = defaultdict(list)
    for proof in ordered:
        if _proves_its_address(proof, marks):
            by_agent.setdefault((proof.host, proof.agent), proof)
            for place in _spoken_for(proof, marks):
                by_place[place].append(proof)
    for hit in ordered if by_agent else ():
        close = nearest(by_place[hit.host] or by_place[hit.neighbourhood], hit.t, _time)
        in_time = close if close is not None and abs(close.t - hit.t) <= windows.spread else None
        shown_by = by_agent.get((hit.host, hit.agent), in_time)
        if shown_by is not None and hit.verdict.klass in ("human", "unknown"):
            yield hit.key, Reason("same_address"), shown_by.key


def _spoken_for(proof: SequenceHit, marks: Marks) -> tuple[Hashable, ...]:
    """A lone HEAD may be a link checker on the person's own machine: it speaks for its own agent only."""
    if proof.is_settled_as("method"):
        return ()
    in_burst = proof.key in marks and marks[proof.key][0].code == "burst"
    return (proof.host, proof.neighbourhood) if in_burst else (proof.host,)


def _proves_its_address(hit: SequenceHit, marks: Marks) -> bool:
    """Who merely came near a honeypot hit from elsewhere proves nothing about their own address."""
    if hit.address_is_shared or hit.verdict.klass not in (*OPEN_TO_DOUBT, "security_scanner"):
        return False
    marked = hit.key in marks and marks[hit.key][0].code != "near_honeypot"
    return marked or (hit.is_settled_as("honeypot", "method", "scanner_agent") and not _loads_ahead(hit))


def machines_of_a_moment(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """Pixel and link from one address by one browser within a second, soon after sending and where nobody had opened.

    Who had opened before may well click while the mail is drawn again; a Referer says that a page was on a screen.
    """
    by_host: dict[Hashable, list[SequenceHit]] = defaultdict(list)
    for hit in filter(_may_take_all, ordered):
        by_host[hit.host].append(hit)
    for hits in by_host.values():
        for first, other in pairs(hits[:2], lambda hit: hit.t, windows.same_moment):
            if _of_one_program(first, other) and first.case.younger_than(windows.same_moment_until):
                reason = Reason("open_and_click", {"seconds": round(other.t - first.t, 1)})
                yield first.key, reason, other.key
                yield other.key, reason, first.key


def _cloud_visits(ordered: Sequence[SequenceHit], windows: Windows) -> Found:
    """Pixel and then the only link, from one address of a hoster by one browser, within minutes of sending and where nobody had
    opened: a short message leaves a scanner nothing else to do. A Referer says that a page was on a screen."""
    links = {hit.evidence.link for hit in ordered if isinstance(hit.evidence.link, int)}
    if len(links) != 1 or any((hit.evidence.links_in_message or 1) > 1 for hit in ordered):
        return
    visits = [hit for hit in ordered if _may_take_all(hit) and _is_from_cloud(hit, windows)]
    for click in visits:
        opens = [hit for hit in visits if hit.host == click.host and hit.t <= click.t and _of_one_program(hit, click)]
        for opened in opens if click.is_link else ():
            reason = Reason("cloud_visit", {"seconds": round(click.t)})
            yield opened.key, reason, click.key
            yield click.key, reason, opened.key


def _is_from_cloud(hit: SequenceHit, windows: Windows) -> bool:
    return "hosting" in hit.case.facts and hit.case.younger_than(windows.cloud_visit)


def _may_take_all(hit: SequenceHit) -> bool:
    judged = hit.verdict.klass in ("human", "unknown", "security_scanner")
    return judged and not hit.in_a_mail_program and not hit.address_is_shared


def _of_one_program(hit: SequenceHit, other: SequenceHit) -> bool:
    opened, clicked = (other, hit) if hit.is_link else (hit, other)
    if opened.is_link or not clicked.is_link or hit.agent != other.agent or not hit.agent:
        return False
    return not opened.evidence.state.prior_human_open_same_ip and not clicked.case.headers.get("referer")


def merge_duplicates(hits: Sequence[SequenceHit], windows: Windows = Windows()) -> dict[Hashable, Hashable]:
    """Exact duplicates: one act of one person that made several requests. The key of every repeat, with the key of the hit
    that it repeats; for display and alerts only.

    Same link, address and agent within 10 s of the one before; the same pixel within 30 s of it, from any address
    (Gmail re-fetches through several proxies). Only hits of one class are merged, so classify first.
    """
    if not any_within((hit.t for hit in hits), max(windows.duplicate_click, windows.duplicate_open)):
        return {}
    repeats: dict[Hashable, Hashable] = {}
    newest: dict[Hashable, tuple[float, Hashable]] = {}
    for hit in sorted(hits, key=lambda hit: hit.t):
        window = windows.duplicate_click if hit.is_link else windows.duplicate_open
        what = _what(hit)
        before, first = newest.get(what, (float("-inf"), hit.key))
        if hit.t - before <= window:
            repeats[hit.key] = first
        newest[what] = (hit.t, repeats.get(hit.key, hit.key))
    return repeats


def _what(hit: SequenceHit) -> Hashable:
    if not hit.is_link:
        return (hit.evidence.kind, hit.verdict.klass)
    return (hit.evidence.kind, hit.verdict.klass, hit.evidence.link, hit.host, hit.agent)
