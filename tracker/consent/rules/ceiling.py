"""What the operator allows at most, whatever the workspace and its people choose. Pure."""

from collections.abc import Collection
from dataclasses import dataclass

from tracker.consent.rules.states import Pack, Purpose
from tracker.runtime.localized_text import N_, ActionError, LocalizedText

_LOOSENESS = (Pack.OFF, Pack.STRICT, Pack.NOTICE)


class CeilingError(ActionError):
    """Something above the ceiling was asked for. It is refused, never quietly lowered."""

    def __init__(self, sentence: str) -> None:
        super().__init__("invalid", sentence, detail_code="above_ceiling")


@dataclass(frozen=True)
class Ceiling:
    """The loosest policy that may be chosen, and what may be measured."""

    policy: Pack = Pack.NOTICE
    purposes: frozenset[Purpose] = frozenset(Purpose)

    def lowered(self, pack: Pack) -> Pack:
        """What is in force of a policy that was chosen before the ceiling was set."""
        return min(pack, self.policy, key=_LOOSENESS.index)

    def allows(self, purpose: Purpose) -> bool:
        return self.policy != Pack.OFF and purpose in self.purposes

    def check_policy(self, pack: Pack) -> None:
        """Raises :class:`CeilingError` for a looser policy."""
        if self.lowered(pack) != pack:
            raise CeilingError(
                LocalizedText(
                    "The operator of this Inkling allows the policy “%(most)s” at the most (INKLING_TRACKING_CEILING).",
                    most=self.policy.value,
                )
            )

    def check_wish(self, purpose: Purpose) -> None:
        """Raises :class:`CeilingError` when this may not be measured."""
        if not self.allows(purpose):
            raise CeilingError(
                LocalizedText(
                    "The operator of this Inkling does not allow tracking %(purpose)s (INKLING_TRACKING_CEILING). Switch it off.",
                    purpose=LocalizedText(PURPOSE_LABELS[purpose]),
                )
            )


PURPOSE_LABELS = {
    Purpose.OPENS: N_("opens"),
    Purpose.CLICKS: N_("clicks"),
    Purpose.DOCUMENTS: N_("the reading of documents"),
}


def ceiling_of(words: Collection[str]) -> Ceiling:
    """The ceiling that the setting's words make: a policy, purposes, or both. No words: no ceiling."""
    packs = [pack for pack in _LOOSENESS if pack.value in words]
    purposes = frozenset(purpose for purpose in Purpose if purpose.value in words)
    return Ceiling(packs[0] if packs else Pack.NOTICE, purposes or frozenset(Purpose))
