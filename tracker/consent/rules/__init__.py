"""Consent: states, purposes, moves, proof, the chain, and which copies may be tracked. Pure.

The stricter wins, and unknown means no. A *policy* says per delivery and purpose whether to track and which rule decided; it
is frozen when the message is sent and may only tighten afterwards.
"""

from tracker.consent.rules.country_rules import Ceiling, CeilingError, ceiling_of, looser_points, rules_for
from tracker.consent.rules.jurisdiction import Jurisdiction, jurisdiction_of
from tracker.consent.rules.opt_out_phrases import asks_not_to_be_tracked, may_ask
from tracker.consent.rules.proof import (
    CHANNELS,
    GRADES,
    ConsentError,
    Proof,
    chain_digest,
    checked_proof,
    grade_of,
    proof_digest,
    text_digest,
)
from tracker.consent.rules.resolution import BASES, RULES, Decision, Facts, decide, forbidden_by, may_keep
from tracker.consent.rules.states import (
    ASK_AGAIN_AFTER,
    MEASURED,
    SAID_NO,
    SILENT,
    STRICT_JURISDICTIONS,
    ConsentState,
    Pack,
    Purpose,
)
from tracker.consent.rules.transitions import (
    ConsentEvent,
    Terms,
    accepted_grades,
    check_transition,
    in_force_until,
    no_after,
    present_state,
)
