"""Placeholders of the message being written: their values, and what has none yet."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from sqlmodel import Session, select

from tracker.locale import _
from tracker.mail.addresses import Address, lookup_form
from tracker.models import Recipient, User
from tracker.outbound.draft import SendError
from tracker.outbound.placeholders import (
    NAMES,
    OF_THE_RECIPIENT,
    fill,
    fill_html,
    names_of,
    own_names_of,
    used,
    used_in_html,
)
from tracker.outbound.rich_text import plain
from tracker.runtime.localized_text import LocalizedText
from tracker.web.compose.drafts import ComposeForm, account_of, readable


@dataclass(frozen=True)
class MissingValue:
    """A placeholder of this message that only its sender can fill, and what was typed for it."""

    name: str
    label: str
    value: str


@dataclass(frozen=True)
class FilledMessage:
    """The message with its values, as far as there are any."""

    typed: ComposeForm
    missing_values: tuple[MissingValue, ...] = ()
    unknown: tuple[str, ...] = ()
    recipient_count: int = 0
    """How many people the message goes to, where a placeholder can only mean one."""
    who: str = ""


def fill_message(session: Session, user: User, typed: ComposeForm) -> FilledMessage:
    """Fills in subject and text what templates put there. Where they put nothing: the very same form."""
    in_text = {name for name in typed.placeholders if ":" not in name}
    in_subject = {name.removeprefix("subject:") for name in typed.placeholders if ":" in name}
    present = used_in_html(typed.html)
    names = in_text & set(present) | in_subject & set(used(typed.subject))
    if not names and not (typed.placeholders and present):
        return FilledMessage(typed)
    people = readable(typed.to)
    of_one = OF_THE_RECIPIENT & names
    if of_one and len(people) > 1:
        return FilledMessage(typed, recipient_count=len(people))
    values = _values(session, user, typed, people[0] if people else None)
    subject, text = fill(typed.subject, values, in_subject), fill_html(typed.html, values, in_text)
    missing = dict.fromkeys((*subject.missing, *text.missing))
    # What was typed stays in its field while it is needed.
    asked = [name for name in NAMES if name in missing or (name in typed.fill and name in names)]
    return FilledMessage(
        replace(typed, subject=subject.text, html=text.text, text=plain(text.text)),
        tuple(MissingValue(name, label_of(name), typed.fill.get(name, "")) for name in asked) if people else (),
        text.unknown,
        who=(people[0].name or people[0].address) if people else "",
    )


def require_complete(merged: FilledMessage) -> ComposeForm:
    """The message to send. Raises :class:`SendError` naming the placeholder that cannot be filled."""
    if merged.recipient_count:
        text = LocalizedText(
            "The text speaks to one person by a placeholder, and this message goes to %(count)s. Send it one by one, or write"
            " the words yourself.",
            count=merged.recipient_count,
        )
        raise SendError("html", "placeholder_for_many", text)
    for missing in merged.missing_values:
        if not missing.value:
            raise SendError(
                "html",
                "placeholder_missing",
                LocalizedText(
                    "{{%(name)s}} has no value for %(who)s. Fill it in below, or take it out of the text.",
                    name=missing.name,
                    who=merged.who,
                ),
            )
    if merged.unknown:
        text = LocalizedText(
            "{{%(name)s}} is no placeholder. These are: %(known)s.", name=merged.unknown[0], known=", ".join(NAMES)
        )
        raise SendError("html", "placeholder_unknown", text)
    return merged.typed


def label_of(name: str) -> str:
    """A placeholder in words."""
    labels: Mapping[str, str] = {
        "name": _("Name of the recipient"),
        "first_name": _("First name of the recipient"),
        "company": _("Company of the recipient"),
        "address": _("Address of the recipient"),
        "my_name": _("Your name"),
        "my_first_name": _("Your first name"),
        "my_address": _("Your address"),
    }
    return labels[name]


def remember_company(session: Session, typed: ComposeForm) -> None:
    """The company typed for somebody stands for the next message too."""
    company, people = typed.fill.get("company", ""), readable(typed.to)
    recipient = _recipient(session, people[0]) if company and len(people) == 1 else None
    if recipient is not None and not recipient.company:
        recipient.company = company[:200]


def _values(session: Session, user: User, typed: ComposeForm, person: Address | None) -> dict[str, str]:
    account = account_of(session, user, typed.account)
    own = own_names_of((account.name if account else "") or user.name, account.address if account else user.email)
    if person is None:
        return own
    recipient = _recipient(session, person)
    known = names_of(
        person.name or (recipient.name if recipient else ""), person.address, recipient.company if recipient else ""
    )
    return {**own, **{name: value or typed.fill.get(name, "") for name, value in known.items()}}


def _recipient(session: Session, person: Address) -> Recipient | None:
    return session.exec(select(Recipient).where(Recipient.lookup == lookup_form(person.address))).first()
