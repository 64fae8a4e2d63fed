"""Stage 1: who made this one hit? The first rule that fires decides. Pure: no clock, no look-ups, no database."""

from collections.abc import Callable, Mapping, Sequence
from functools import cache

from tracker.engagement.judge.agent_rules import (
    apple_privacy,
    crawler_list,
    gmail_machine,
    mail_proxy,
    mailru_proxy,
    preview,
    scanner_agent,
)
from tracker.engagement.judge.browser_score import SCANNER_FROM, UNKNOWN_FROM, browser_score, is_complete_browser
from tracker.engagement.judge.browsers import RELEASES, Releases
from tracker.engagement.judge.case import Case, decide, open_case
from tracker.engagement.judge.evidence import Evidence
from tracker.engagement.judge.ip_ranges import Table, newest_date
from tracker.engagement.judge.known_agents import AGENTS_DATE, CRAWLER_LIST_VERSION, Role
from tracker.engagement.judge.network_rules import (
    certain_network,
    client_check,
    empty_agent,
    microsoft_pixel,
    probable_network,
    provider_link,
)
from tracker.engagement.judge.verdict import Judgement, Reason
from tracker.engagement.judge.windows import Windows

PREFETCH_HEADERS = ("sec-purpose", "purpose", "x-moz", "x-purpose")


def rule_set(ranges_date: str) -> str:
    """The name stored with each verdict: rules, agents, crawler list, and the date of the range files in use."""
    return f"1 agents {AGENTS_DATE} crawlers {CRAWLER_LIST_VERSION} ranges {ranges_date}"


RULE_SET = rule_set(newest_date())


def classify(
    evidence: Evidence,
    windows: Windows = Windows(),
    releases: Releases = RELEASES,
    tables: Sequence[Table] | None = None,
) -> Judgement:
    """The class of one hit with confidence and reasons. Never raises on what a client may send.

    `tables` are refreshed range files; without them those that ship with the product are asked.
    """
    return classify_case(open_case(evidence, windows, releases, tables))


def classify_case(case: Case) -> Judgement:
    """As `classify`, of a hit that was made ready before."""
    for rule in _rules_for(case.agent.role):
        verdict = rule(case)
        if verdict is not None:
            return verdict
    raise AssertionError("the last rule fits everything")


def _sender(case: Case) -> Judgement | None:
    """Rule 1."""
    state = case.state
    if state.app_session:
        return decide("sender_self", 95, "app_session")
    if state.own_infrastructure or "own" in case.facts:
        return decide("sender_self", 95, "own_infrastructure")
    if state.recipient_is_sender:
        return decide("sender_self", 95, "recipient_is_sender")
    if case.age is not None and case.age < 0:
        return decide("sender_self", 90, "before_sending")
    heads_up = state.self_heads_up_s
    if heads_up is not None and abs(heads_up) <= case.windows.heads_up:
        return decide("sender_self", 90, Reason("heads_up", {"seconds": round(abs(heads_up))}))
    return None


def _sender_address(case: Case) -> Judgement | None:
    """Rule 2. Colleagues share the office's address with the sender, so it says nothing about internal mail."""
    if not case.state.sender_ip_match or case.state.recipient_internal:
        return None
    return decide("sender_self", 80, "sender_address")


def _honeypot(case: Case) -> Judgement | None:
    """Rule 3."""
    return decide("security_scanner", 99, "honeypot") if case.evidence.link == "honeypot" else None


def _method(case: Case) -> Judgement | None:
    """Rule 4. Browsers send beacons with POST; everything else of a person is a GET."""
    if case.agent.role == "office_discovery":
        return decide("unknown", 50, "office_discovery", vendor="microsoft")
    method = case.evidence.method.strip().upper() or "GET"
    if method == "GET" or (method == "POST" and case.evidence.kind == "beacon"):
        return None
    return decide("security_scanner", 90, Reason("method", {"method": method[:20]}))


def _prefetch_header(case: Case) -> Judgement | None:
    """Rule 5."""
    marks = [case.headers[name].lower() for name in PREFETCH_HEADERS if name in case.headers]
    if not any(word in mark for mark in marks for word in ("prefetch", "prerender", "preview")):
        return None
    return decide("link_preview", 90, "prefetch_header")


def _mail_client(case: Case) -> Judgement | None:
    """Rule 19. An engine without a name counts only outside hosters."""
    if case.is_link or case.agent.role not in ("mail_client", "embedded_engine"):
        return None
    if (case.agent.role == "embedded_engine" or case.agent.by_name_alone) and "hosting" in case.facts:
        return None
    if case.younger_than(case.windows.mail_client_early):
        return decide("unknown", 45, Reason("mail_client_early", {"name": case.agent.name, "seconds": case.shown_age}))
    sure = 70 if case.agent.by_name_alone else 85
    return decide("human", sure, Reason("mail_client", {"name": case.agent.name}))


def _odd_request(case: Case) -> Judgement | None:
    """Rule 20."""
    if "tor" in case.facts:
        return decide("unknown", 50, "tor")
    if _is_page_request(case) and "hosting" not in case.facts:
        return decide("unknown", 50, "pixel_as_page")
    return None


def _is_page_request(case: Case) -> bool:
    as_page = case.headers.get("accept", "").lower().startswith("text/html")
    return not case.is_link and (as_page or case.headers.get("sec-fetch-dest") == "document")


def _browser(case: Case) -> Judgement:
    """Rules 21 and 22."""
    score = browser_score(case)
    points, reasons = score.points, score.reasons
    if points >= SCANNER_FROM:
        return decide("security_scanner", min(points, 95), *reasons)
    if case.agent.role != "mail_client" and not case.browser.engine:
        return decide("unknown", 40, "nothing_fits", *reasons)
    if _is_page_request(case):
        return decide("unknown", 50, "pixel_as_page", *reasons)
    if points < UNKNOWN_FROM:
        return decide("human", min(90 - points, 95), "looks_like_browser", *reasons)
    if _hosting_alone(case) and score.only_against("hosting"):
        return decide("human", 55, "hosting_alone", *reasons)
    return decide("unknown", 50, *reasons)


def _hosting_alone(case: Case) -> bool:
    """Company proxies and VPNs live at hosters: a complete browser there is a person, once the checks are over."""
    return is_complete_browser(case) and not case.younger_than(case.windows.hosting_early)


RULES: tuple[Callable[[Case], Judgement | None], ...] = (
    _sender,
    _sender_address,
    _honeypot,
    _method,
    _prefetch_header,
    mail_proxy,
    mailru_proxy,
    gmail_machine,
    apple_privacy,
    preview,
    scanner_agent,
    crawler_list,
    certain_network,
    empty_agent,
    probable_network,
    client_check,
    provider_link,
    microsoft_pixel,
    _mail_client,
    _odd_request,
    _browser,
)

OF_ONE_ROLE: Mapping[Callable[[Case], Judgement | None], Role] = {
    mail_proxy: "mail_proxy",
    mailru_proxy: "mailru_proxy",
    apple_privacy: "mpp",
    preview: "preview",
    scanner_agent: "scanner",
    empty_agent: "empty",
}
"""Rules that speak of one kind of agent alone; of the others they need not be asked."""


@cache
def _rules_for(role: Role) -> Sequence[Callable[[Case], Judgement | None]]:
    return [rule for rule in RULES if OF_ONE_ROLE.get(rule, role) == role]
