"""Reading one line of `inkling judge`: JSON into evidence, or the field that is wrong and how to put it right."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, get_args

from tracker.engagement.judge.case import LONGEST_AGE
from tracker.engagement.judge.evidence import Evidence, HitState, Kind, Link, Net

KINDS: tuple[Kind, ...] = get_args(Kind)
MX_FIELDS = ("recipient_mx", "sender_provider")
# other words for the same fact
SAME_AS = {
    "recipient_internal": ("internal_recipient", "recipient_is_internal"),
    "own_infrastructure": ("own_network", "own_ip", "excluded_ip", "ip_excluded"),
    "thread_open": ("sender_viewing_thread", "sender_composing", "app_shows_thread"),
    "learned_scanner": ("learned_address", "known_scanner_ip"),
}
SHARED_FIELDS = ("state", "net", "headers")


class FieldProblem(ValueError):
    """One field that cannot be read; its text names field and rule."""


@dataclass(frozen=True)
class JudgeRequest:
    """One line: its `id` and its events. `whose` tells messages and recipients apart where a sequence names them."""

    id: Any
    events: tuple[Evidence, ...]
    whose: tuple[tuple[str, str], ...]


def read_line(line: str, number: int) -> JudgeRequest:
    """A hit or a sequence of hits. Keys beside `sequence` count for all its events unless an event has its own."""
    data = _json(line)
    if not isinstance(data, dict):
        raise FieldProblem(f"a line must be an object in braces, not {_shown(data)}")
    given_id = data.get("id")
    identity = number if given_id is None else given_id
    if data.get("sequence") is None:
        return JudgeRequest(identity, (_evidence(data, ""),), (_whose(data),))
    sequence = data["sequence"]
    if not isinstance(sequence, list):
        raise FieldProblem(f'"sequence" must be a list of hits, not {_shown(sequence)}')
    common = {key: value for key, value in data.items() if key not in ("sequence", "id")}
    hits = [_with_common(common, _object(hit, f"sequence[{at}]")) for at, hit in enumerate(sequence)]
    events = tuple(_evidence(hit, f"sequence[{at}].") for at, hit in enumerate(hits))
    return JudgeRequest(identity, events, tuple(map(_whose, hits)))


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as problem:
        raise FieldProblem(f"not JSON ({str(problem)[:100]}); write one object per line") from None


def _with_common(common: Mapping[str, Any], hit: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**common, **hit}
    for name in SHARED_FIELDS:
        if isinstance(common.get(name), dict) and isinstance(hit.get(name), dict):
            merged[name] = {**common[name], **hit[name]}
    return merged


def _whose(hit: Mapping[str, Any]) -> tuple[str, str]:
    return str(hit.get("message") or ""), str(hit.get("recipient") or "")


def _evidence(hit: Mapping[str, Any], at: str) -> Evidence:
    kind = hit.get("kind")
    if kind not in KINDS:
        raise FieldProblem(f'"{at}kind" must be one of {", ".join(KINDS)}, not {_shown(kind)}')
    ip = _text(hit.get("ip"), f"{at}ip")
    if not ip:
        raise FieldProblem(f'"{at}ip" is missing; give the address that made the request')
    when = "t" if hit.get("t") is not None else "seconds_after_send"
    return Evidence(
        kind=kind,
        ip=ip,
        method=_text(hit.get("method"), f"{at}method") or "GET",
        headers=_headers(hit.get("headers"), f"{at}headers"),
        seconds_after_send=_number(hit.get(when), f"{at}{when}"),
        net=_net(hit.get("net"), f"{at}net"),
        state=_state(hit.get("state"), f"{at}state"),
        link=_link(hit.get("link"), f"{at}link"),
        links_in_message=_whole(hit.get("links_in_message"), f"{at}links_in_message"),
    )


def _headers(value: Any, name: str) -> dict[str, str]:
    """Names in any case; a list of values is joined as HTTP does; null is a field that was not sent."""
    headers = _object_or_nothing(value, name)
    return {key.lower().strip(): _header(field, f"{name}.{key}") for key, field in headers.items() if field is not None}


def _header(value: Any, name: str) -> str:
    if isinstance(value, list):
        return ", ".join(_header(part, name) for part in value if part is not None and not isinstance(part, list))
    if isinstance(value, (str, int, float)):
        return str(value)
    raise FieldProblem(f'"{name}" must be text, not {_shown(value)}')


def _net(value: Any, name: str) -> Net:
    net = _object_or_nothing(value, name)
    tags = [net["tags"]] if isinstance(net.get("tags"), str) else net.get("tags")
    if tags is not None and not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        raise FieldProblem(f'"{name}.tags" must be a list of texts, not {_shown(tags)}')
    return Net(
        asn=_asn(net.get("asn"), f"{name}.asn"),
        org=_text(net.get("org"), f"{name}.org"),
        rdns=_text(net.get("rdns"), f"{name}.rdns"),
        tags=frozenset(tags or ()),
    )


def _asn(value: Any, name: str) -> int | None:
    if isinstance(value, str) and value.upper().removeprefix("AS").strip().isdecimal():
        return int(value.upper().removeprefix("AS").strip()[:12])
    return _whole(value, name)


def _state(value: Any, name: str) -> HitState:
    """Keys that we do not know are no evidence and are passed over."""
    state = _object_or_nothing(value, name)
    known: dict[str, Any] = {}
    for field in fields(HitState):
        names = (field.name, *SAME_AS.get(field.name, ()))
        stored = next((state[known_as] for known_as in names if state.get(known_as) is not None), None)
        if stored is None:
            continue
        if field.name in MX_FIELDS:
            known[field.name] = _text(stored, f"{name}.{field.name}")
        elif field.name == "self_heads_up_s":
            known[field.name] = _number(stored, f"{name}.{field.name}")
        else:
            known[field.name] = _yes_or_no(stored, f"{name}.{field.name}")
    return HitState(**known)


def _link(value: Any, name: str) -> Link:
    fits = value is None or value == "honeypot" or _is_whole(value)
    link: Link = _checked(value, name, fits, 'a whole number from 0 on or "honeypot"')
    return link


def _object(value: Any, name: str) -> Mapping[str, Any]:
    fields: Mapping[str, Any] = _checked(value, name, isinstance(value, dict), "an object in braces")
    return fields


def _object_or_nothing(value: Any, name: str) -> Mapping[str, Any]:
    return {} if value is None else _object(value, name)


def _text(value: Any, name: str) -> str | None:
    if isinstance(value, Sequence) and not isinstance(value, str) and value:
        value = value[0]
    text: str | None = _checked(value, name, value is None or isinstance(value, str), "text")
    return text


def _number(value: Any, name: str) -> float | None:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    fits = value is None or (is_number and -LONGEST_AGE < value < LONGEST_AGE)
    return None if _checked(value, name, fits, "a number of seconds") is None else float(value)


def _whole(value: Any, name: str) -> int | None:
    number: int | None = _checked(value, name, value is None or _is_whole(value), "a whole number")
    return number


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _yes_or_no(value: Any, name: str) -> bool:
    return bool(_checked(value, name, value in (True, False), "true or false"))  # 1 and 0 as well


def _checked(value: Any, name: str, fits: bool, what: str) -> Any:
    """The value. Raises :class:`FieldProblem` that says what it must be, when it does not fit."""
    if not fits:
        raise FieldProblem(f'"{name}" must be {what}, not {_shown(value)}')
    return value


def _shown(value: Any) -> str:
    return "missing" if value is None else json.dumps(value, ensure_ascii=False)[:60]
