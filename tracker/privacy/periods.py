"""Retention periods: our defaults, which a workspace may shorten and never lengthen."""

from collections.abc import Mapping

from sqlmodel import Session

from tracker.consent.preferences import preference, set_preference
from tracker.locale import N_
from tracker.runtime.localized_text import LocalizedText
from tracker.runtime.values import whole_number

DEFAULTS: Mapping[str, int] = {
    "hits_days": 90,
    "summary_days": 396,
    "alerts_days": 30,
    "views_days": 365,
    "proof_days": 1826,
}
"""Days. ``summary_days`` are thirteen months, ``proof_days`` five years after a consent has ended."""
LEAST: Mapping[str, int] = {"proof_days": 365}
"""Proof that is thrown away at once would leave the workspace without any."""
WORDS: Mapping[str, str] = {
    "hits_days": N_("Each open and click: time, verdict, reasons, mail program"),
    "summary_days": N_("Per message: first and last day, how often, which links; after that only whether"),
    "alerts_days": N_("Notifications"),
    "views_days": N_("Log of who viewed tracking data"),
    "proof_days": N_("Proof of consent, kept after it ends"),
}


class PeriodError(ValueError):
    """A period that cannot be; ``field`` names it."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field, self.sentence = field, sentence


def periods(session: Session) -> dict[str, int]:
    """The days in force."""
    chosen = preference(session, "retention") or {}
    return {name: min(int(chosen.get(name, days)), days) for name, days in DEFAULTS.items()}


def checked(typed: Mapping[str, str]) -> dict[str, int]:
    """The days as typed in. Raises :class:`PeriodError`: for what is no number, and for more than our default."""
    periods = {}
    for name, longest in DEFAULTS.items():
        text = typed.get(name, str(longest)).strip()
        least = LEAST.get(name, 1)
        days = whole_number(text, longest)
        if days is None or days < least:
            raise PeriodError(
                name,
                LocalizedText(
                    "Give %(least)s to %(longest)s days: a workspace may keep data shorter than that, never longer.",
                    least=least,
                    longest=longest,
                ),
            )
        periods[name] = days
    return periods


def set_periods(session: Session, days: Mapping[str, int], by: int | None) -> None:
    set_preference(session, "retention", dict(days), by)
