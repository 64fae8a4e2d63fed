"""What stands in a message's form, kept beside the message so that it can be a draft again, in every field."""

import json
from collections.abc import Mapping, Sequence
from typing import Any
from zoneinfo import ZoneInfo

from tracker.mail.addresses import Address, AddressError, lookup_or_none, parse_list
from tracker.models import Message, MessageBody, User
from tracker.outbound.draft import Draft

ROLES = ("to", "cc", "bcc")


def read_form(body: MessageBody | None) -> dict[str, Any]:
    """The fields of the form by their names; empty where none are kept."""
    try:
        form = json.loads((body.recipients if body else "") or "{}")
    except ValueError:
        return {}
    return form if isinstance(form, dict) else {}


def form_text(form: Mapping[str, Any]) -> str:
    """The form as it is stored: recipients always, of the rest what is filled in."""
    filled = {name: value for name, value in form.items() if value or name in ROLES}
    return json.dumps(filled, ensure_ascii=False)


def form_before_sending(user: User, draft: Draft, message: Message | None, body: MessageBody | None) -> str:
    """The form of a message that is about to be queued: with its text and subject as they were before placeholders were filled.

    ``message`` and ``body`` are the draft's rows as they still are; one that was never a draft has the fields of ``draft``.
    """
    if message is None or body is None or not body.recipients:
        return form_text(_fields(user, draft))
    form = read_form(body)
    form["html"] = body.html if body.html != draft.html else ""
    form["subject"] = message.subject if message.subject != draft.subject else ""
    return form_text(form)


def _fields(user: User, draft: Draft) -> dict[str, Any]:
    return {
        **{role: ", ".join(map(str, getattr(draft, role))) for role in ROLES},
        "send_at": _local(draft, user.timezone),
        "follow_up_days": draft.follow_up_days,
        "leave": sorted(draft.untracked_links),
    }


def _local(draft: Draft, zone: str) -> str:
    """The time as a ``datetime-local`` field writes it, in the person's zone."""
    return draft.send_at.astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M") if draft.send_at else ""


def written_mailboxes(body: MessageBody | None, role: str, addresses: Sequence[str]) -> list[Address]:
    """These addresses with the names that the sender wrote beside them, and no others: what colleagues call somebody stays here."""
    names = {lookup_or_none(mailbox.address): mailbox.name for mailbox in _readable(str(read_form(body).get(role, "")))}
    return [Address(address, names.get(lookup_or_none(address), "")) for address in addresses]


def _readable(text: str) -> Sequence[Address]:
    try:
        return parse_list(text)
    except AddressError:
        return ()
