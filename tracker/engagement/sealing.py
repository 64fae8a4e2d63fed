"""Evidence at rest: everything that could name a reader, encrypted, bound to its event."""

import json
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Any

from sqlmodel import col

from pixel.hits import compact_json
from pixel.tokens import TRAP_LINK
from tracker.engagement.judge.evidence import Evidence, HitState, Link
from tracker.engagement.rules import RuleSet
from tracker.models import Delivery
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import Undecryptable
from tracker.runtime.values import value

# The server's 250 is noted a moment after it was said; a gateway may have followed the links by then.
_CLOCK_SLACK = 60.0
# The recipient's MX may become known after the hit, so it is asked for again; what the judge works out itself is not kept.
_KEPT = tuple(f for f in fields(HitState) if f.name not in ("recipient_mx", "prior_human_open_same_ip"))


@value
class Handover:
    """When a copy was handed over, as far as it is known, and where it went."""

    accepted_at: datetime | None
    mx_family: str | None

    def age(self, at: datetime) -> float:
        """Seconds after the server's 250. A hit that overtook our note of the 250 has age 0."""
        if self.accepted_at is None:
            return 0.0
        seconds = (at - self.accepted_at).total_seconds()
        return 0.0 if -_CLOCK_SLACK <= seconds < 0 else seconds


def handover_columns() -> tuple[Any, Any]:
    """The columns of a :class:`Handover`, for a query over deliveries."""
    return (col(Delivery.accepted_at), col(Delivery.mx_family))


def seal(context: AppContext, event: str, evidence: Evidence) -> bytes:
    """What must be kept to judge a hit again, readable only with our keys and for this event (its public id)."""
    state = {f.name: value for f in _KEPT if (value := getattr(evidence.state, f.name)) != f.default}
    facts = {
        "ip": evidence.ip,
        "method": evidence.method,
        "headers": dict(evidence.headers),
        "links": evidence.links_in_message,
        "rdns": evidence.net.rdns,
        "state": state,
    }
    return context.keyring.encrypt(compact_json(facts).encode(), _record(event))


def unseal(context: AppContext, rules: RuleSet, event: Any, handover: Handover) -> Evidence | None:
    """The evidence of a row with `public_id`, `kind`, `link`, `at` and `sealed`; None when its key was lost."""
    try:
        facts: Mapping[str, Any] = json.loads(context.keyring.decrypt(event.sealed, _record(event.public_id)))
    except (Undecryptable, ValueError):
        return None
    return Evidence(
        kind=event.kind,
        ip=facts["ip"],
        method=facts["method"],
        headers=facts["headers"],
        seconds_after_send=handover.age(event.at),
        net=rules.net(facts["ip"], facts["rdns"]),
        state=HitState(recipient_mx=handover.mx_family, **facts["state"]),
        link=link_of(event.link),
        links_in_message=facts["links"],
    )


def link_of(number: int | None) -> Link:
    """The link of a hit as the judge knows it: the hidden one goes by its name."""
    return "honeypot" if number == TRAP_LINK else number


def number_of(link: Link) -> int | None:
    """The link of a hit as rows and tokens number it."""
    return TRAP_LINK if link == "honeypot" else link


def address_of(context: AppContext, event: str, sealed: bytes) -> str:
    """The address alone of sealed evidence; empty when its key was lost."""
    try:
        return str(json.loads(context.keyring.decrypt(sealed, _record(event)))["ip"])
    except (Undecryptable, ValueError):
        return ""


def _record(event: str) -> str:
    return f"evidence:{event}"
