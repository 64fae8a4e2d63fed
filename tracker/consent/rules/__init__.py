"""Consent: states, purposes, moves, proof, the chain, and which copies may be tracked. Pure.

The stricter wins, and unknown means no. A *policy* says per delivery and purpose whether to track and which rule decided; it
is frozen when the message is sent and may only tighten afterwards.
"""

from tracker.consent.rules.ceiling import Ceiling, CeilingError, ceiling_of
from tracker.consent.rules.chain import chain_digest, proof_digest
from tracker.consent.rules.country_rules import looser_points, rules_for
from tracker.consent.rules.jurisdiction import Jurisdiction, jurisdiction_of
from tracker.consent.rules.opt_out_phrases import asks_not_to_be_tracked, may_ask
from tracker.consent.rules.proof import CHANNELS, GRADES, MoveError, Proof, checked_proof, grade_of, text_digest
from tracker.consent.rules.resolution import BASES, RULES, Decision, Facts, decide, forbidden_by, may_keep
from tracker.consent.rules.states import (
    ASK_AGAIN_AFTER,
    MEASURED,
    SAID_NO,
    SILENT,
    STRICT_JURISDICTIONS,
    Pack,
    Purpose,
    State,
)
from tracker.consent.rules.transitions import (
    Event,
    Terms,
    accepted_grades,
    check_move,
    in_force_until,
    no_after,
    present_state,
)

__all__ = [
    "ASK_AGAIN_AFTER",
    "BASES",
    "CHANNELS",
    "GRADES",
    "MEASURED",
    "RULES",
    "SAID_NO",
    "SILENT",
    "STRICT_JURISDICTIONS",
    "Ceiling",
    "CeilingError",
    "Decision",
    "Event",
    "Facts",
    "Jurisdiction",
    "MoveError",
    "Pack",
    "Proof",
    "Purpose",
    "State",
    "Terms",
    "accepted_grades",
    "asks_not_to_be_tracked",
    "ceiling_of",
    "chain_digest",
    "check_move",
    "checked_proof",
    "decide",
    "forbidden_by",
    "grade_of",
    "in_force_until",
    "jurisdiction_of",
    "looser_points",
    "may_ask",
    "may_keep",
    "no_after",
    "present_state",
    "proof_digest",
    "rules_for",
    "text_digest",
]
