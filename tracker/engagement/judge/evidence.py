"""One hit as plain values: everything a judge may look at, and nothing else."""

from collections.abc import Mapping
from dataclasses import field
from typing import Literal

from tracker.runtime.values import value

Kind = Literal["open", "click", "beacon"]
Link = int | Literal["honeypot"] | None


@value
class Net:
    """What look-ups said about the address. `asn` is the bare number; `rdns` a forward-confirmed host name.

    `tags` are range tags as `networks.tags` gives them; other spellings are understood too (`networks.facts`).
    """

    asn: int | None = None
    org: str | None = None
    rdns: str | None = None
    tags: frozenset[str] = frozenset()


@value
class HitState:
    """What the product knew when the hit came in.

    `recipient_mx` and `sender_provider` are a family ("google", "proofpoint", …) or a host name. `self_heads_up_s` is
    the age in seconds of the newest "the sender is viewing this message". `sender_ip_match`: same IPv4 address or IPv6
    /64 as an app session of the sender in the last hours. `https=False` says the request came without TLS, where
    browsers send no Sec-Fetch fields; None means nobody knows. `thread_open`: the sender has the thread on the screen.
    """

    recipient_mx: str | None = None
    sender_provider: str | None = None
    app_session: bool = False
    sender_ip_match: bool = False
    self_heads_up_s: float | None = None
    recipient_is_sender: bool = False
    recipient_internal: bool = False
    own_infrastructure: bool = False
    prior_human_open_same_ip: bool = False
    learned_scanner: bool = False
    thread_open: bool = False
    https: bool | None = None


@value
class Evidence:
    """One hit. `headers` has lower-case names. `seconds_after_send` counts from the server's 250; None is unknown."""

    kind: Kind
    ip: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)
    seconds_after_send: float | None = None
    net: Net = Net()
    state: HitState = HitState()
    link: Link = None
    links_in_message: int | None = None
