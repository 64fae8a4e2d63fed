"""How much a request that calls itself a browser looks like a machine, in hundredths."""

from collections.abc import Iterator

from tracker.engagement.judge.case import Case
from tracker.engagement.judge.verdict import Reason
from tracker.mail.mail_providers import GATEWAYS, family
from tracker.runtime.values import value

SCANNER_FROM = 55
UNKNOWN_FROM = 30
STALE_AFTER_MAJORS = 36


@value
class Score:
    """`points` may be below zero: earlier opens, a Referer and user activation speak for a person."""

    points: int
    reasons: tuple[Reason, ...]

    def only_against(self, code: str) -> bool:
        """Whether `code` is the only reason that speaks for a machine."""
        return [reason.code for reason in self.reasons if reason.code not in _FOR_PEOPLE] == [code]


_FOR_PEOPLE = {"earlier_open", "referer", "user_activation"}


def browser_score(case: Case) -> Score:
    marks = [*_header_marks(case), *_surrounding_marks(case), *_marks_of_people(case)]
    return Score(sum(points for points, _ in marks), tuple(reason for _, reason in marks))


def is_stale(case: Case) -> bool:
    return _majors_behind(case) > STALE_AFTER_MAJORS


def lacks_sec_fetch(case: Case) -> bool:
    """A link requested by a browser that always sends Sec-Fetch, without it. Only HTTPS requests carry the fields."""
    sent = any(name.startswith("sec-fetch-") for name in case.headers)
    return case.is_link and case.browser.sends_sec_fetch and not sent and case.state.https is not False


def is_complete_browser(case: Case) -> bool:
    """Everything that a current browser sends is there."""
    known = case.browser.engine in ("chromium", "gecko", "webkit")
    return known and "accept-language" in case.headers and not lacks_sec_fetch(case) and not is_stale(case)


def _majors_behind(case: Case) -> int:
    return case.releases.chrome_major - case.browser.chrome_major if case.browser.chrome_major else 0


def _header_marks(case: Case) -> Iterator[tuple[int, Reason]]:
    # Outlook and its like send neither a language nor Sec-Fetch and may call themselves Internet Explorer.
    if case.agent.role != "mail_client":
        if not case.headers.get("accept-language"):
            yield 30, Reason("no_language")
        if lacks_sec_fetch(case):
            yield 30, Reason("no_sec_fetch")
        if case.browser.engine == "ie":
            yield 25, Reason("internet_explorer")
    # An old engine inside a mail program is normal, so age counts only where a browser of its own was opened.
    if case.is_link and is_stale(case):
        yield (10 if "sec-ch-ua" in case.headers else 25), Reason("stale_browser", {"majors": _majors_behind(case)})


def _surrounding_marks(case: Case) -> Iterator[tuple[int, Reason]]:
    seconds: dict[str, str | int | float] = {"seconds": case.shown_age}
    if "hosting" in case.facts:
        yield 40, Reason("hosting")
    if case.younger_than(case.windows.instant):
        yield 70, Reason("very_early", seconds)
    elif case.younger_than(case.windows.early):
        yield 20, Reason("early", seconds)
    if family(case.state.recipient_mx) in GATEWAYS and case.younger_than(case.windows.gateway_mx):
        yield 20, Reason("gateway_recipient", seconds)


def _marks_of_people(case: Case) -> Iterator[tuple[int, Reason]]:
    if case.state.prior_human_open_same_ip:
        yield -50, Reason("earlier_open")
    if case.headers.get("referer"):
        yield -10, Reason("referer")
    if case.headers.get("sec-fetch-user") == "?1":
        yield -5, Reason("user_activation")
