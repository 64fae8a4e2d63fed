"""Consent: states, purposes, moves, proof, the chain, and which copies may be tracked. Pure.

The stricter wins, and unknown means no. A *policy* says per delivery and purpose whether to track and which rule decided; it
is frozen when the message is sent and may only tighten afterwards.
"""

from tracker.consent.chain import GENESIS, chain_digest, proof_digest
from tracker.consent.moves import Event, Terms, check_move, in_force_until, present_state
from tracker.consent.proof import CHANNELS, GRADES, MoveError, Proof, checked_proof, grade_of, text_digest
from tracker.consent.resolution import RULES, Decision, Facts, decide, may_keep
from tracker.consent.states import (
    ASK_AGAIN_AFTER,
    MEASURED,
    N_,
    SAID_NO,
    SILENT,
    STRICT_JURISDICTIONS,
    Pack,
    Purpose,
    State,
)

__all__ = [
    "ASK_AGAIN_AFTER",
    "CHANNELS",
    "GENESIS",
    "GRADES",
    "MEASURED",
    "N_",
    "RULES",
    "SAID_NO",
    "SILENT",
    "STRICT_JURISDICTIONS",
    "Decision",
    "Event",
    "Facts",
    "MoveError",
    "Pack",
    "Proof",
    "Purpose",
    "State",
    "Terms",
    "chain_digest",
    "check_move",
    "checked_proof",
    "decide",
    "grade_of",
    "in_force_until",
    "may_keep",
    "present_state",
    "proof_digest",
    "text_digest",
]
