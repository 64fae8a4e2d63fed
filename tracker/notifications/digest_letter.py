"""The letter of the daily digest: plain words in two forms, neither pixel nor tracked link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date

from tracker.locale import _, babel_locale, zone
from tracker.locale.templates import write
from tracker.mail.addresses import Address, domain_of
from tracker.mail.message_ids import NOTICE_HEADER, new_id, notice_mark
from tracker.mail.mime.build import MessageContent, build_message
from tracker.models import Account, User
from tracker.runtime.context import AppContext

LONGEST = 50
"""So many lines of a kind are written out; more are counted."""


@dataclass(frozen=True)
class Item:
    """One line: who, about what, what happened, and the address of the page that shows it."""

    who: str
    subject: str
    what: str
    url: str

    @property
    def about(self) -> str:
        quoted = _("“%(subject)s”", subject=self.subject) if self.subject else ""
        return ", ".join(part for part in (self.who, quoted) if part)


@dataclass(frozen=True)
class Digest:
    """What happened to a person's mail since a moment. Empty when nothing did."""

    people: Sequence[Item]
    answers: Sequence[Item]
    trouble: Sequence[Item]
    corrected: Sequence[Item]

    @property
    def is_empty(self) -> bool:
        return not (self.people or self.answers or self.trouble or self.corrected)

    @property
    def sections(self) -> list[tuple[str, Sequence[Item]]]:
        named = [
            (_("Opened or clicked"), self.people),
            (_("Replies and reminders"), self.answers),
            (_("Trouble with delivery"), self.trouble),
            (_("Corrected"), self.corrected),
        ]
        return [(title, items) for title, items in named if items]


def write_letter(context: AppContext, user: User, account: Account, digest: Digest, at: datetime) -> bytes:
    """The digest in wire form, in the language and zone being spoken. One that is repeated has the same Message-ID."""
    day = format_date(at.astimezone(zone()), "d MMMM", locale=babel_locale())
    unique = context.keyring.digest(f"digest:{user.public_id}:{user.digest_since}")[:16]
    message_id = new_id(context.keyring, "n", unique, domain_of(account.address))
    facts = {"digest": digest, "longest": LONGEST, "settings": f"{context.settings.base_url}/notifications#ring"}
    return build_message(
        MessageContent(
            sender=Address(account.address, "Inkling"),
            to=(Address(user.email, user.name),),
            subject=_("Your mail in Inkling up to %(day)s", day=day),
            message_id=message_id,
            date=at,
            html=write("letters/digest.html", **facts),
            text=write("letters/digest.txt", **facts),
            # RFC 3834: no machine answers it
            headers=(("Auto-Submitted", "auto-generated"), (NOTICE_HEADER, notice_mark(context.keyring, message_id))),
        )
    )
