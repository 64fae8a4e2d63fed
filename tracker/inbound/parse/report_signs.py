"""Words by which mail systems tell what became of a message, where they write for people alone: subjects and texts of bounces,
delays, successes, read receipts and reactions. The phrases are in ``report_phrases.toml``. Pure."""

import re
from functools import cache

from tracker.inbound.parse.phrases import phrases

_NOT = re.compile(r"(?:not|never|n['’]t|не|nicht|pas|no|non)\W+(?:yet\W+)?(?:been\W+)?$", re.IGNORECASE)
_WITHIN = 8_000
_LONGEST_REACTION = 200


def bounce_subject(subject: str) -> str | None:
    """The beginning of a subject that tells of a message that did not arrive, or not yet."""
    begins = _compiled("bounce_subjects", r"\s*(?:{})").match(subject)
    return begins[0].strip() if begins else None


def tells_of_delivery(text: str) -> bool:
    """The text speaks of a message that did not arrive."""
    return bool(_compiled("bounce_texts", "{}").search(text[:_WITHIN]))


def tells_of_outcome(text: str) -> bool:
    """The text speaks of a message that is late, or that did arrive."""
    return any(_compiled(table, "{}").search(text[:_WITHIN]) for table in ("delays", "retries", "successes"))


def outcome_in_words(subject: str, text: str) -> str:
    """failed, delayed or delivered, as a report for people tells it: in its subject before the one of the message, else below."""
    begins = _compiled("bounce_subjects", r"\s*(?:{})[^:]*:?").match(subject)
    head, words = begins[0] if begins else "", f"{subject}\n{text[:_WITHIN]}"
    said = [
        ("delayed", _says("delays", head)),
        ("delivered", _says("successes", head)),
        ("delayed", _says("retries", words)),
        ("failed", _says("failures", head)),
        ("delayed", _says("delays", words)),
        ("delivered", _says("successes", words)),
    ]
    return next((outcome for outcome, is_said in said if is_said), "failed")


def _says(table: str, words: str) -> bool:
    match = _compiled(table, "{}").search(words)
    if match is None:
        return False
    return table != "successes" or not _NOT.search(words, max(0, match.start() - 30), match.start())


def receipt_subject(subject: str) -> str | None:
    begins = _compiled("receipt_subjects", r"\s*({})\s*(?::|-\s)").match(subject)
    return begins[1] if begins else None


def tells_of_reading(text: str) -> bool:
    return bool(_compiled("receipt_texts", "{}").search(text[:_WITHIN]))


def tells_of_reaction(own_text: str) -> bool:
    """Nothing but "Ivan reacted to your message"."""
    words = " ".join(own_text.split())
    return 0 < len(words) <= _LONGEST_REACTION and bool(
        _compiled("reactions", r"\W*[^\n]{{0,80}}?\b(?:{})\W*").fullmatch(words)
    )


@cache
def _compiled(table: str, around: str) -> re.Pattern[str]:
    return re.compile(around.format(phrases("report_phrases", table)), re.IGNORECASE | re.MULTILINE)
