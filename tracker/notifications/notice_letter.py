"""The mails of a notice and of the daily digest: plain words in two forms, neither pixel nor tracked link, signed so that no
mailbox we read takes them for a letter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from sqlmodel import Session, col, select

from tracker.locale import N_, _, babel_locale, localize, zone
from tracker.locale.templates import write
from tracker.mail.addresses import Address, domain_of
from tracker.mail.addresses import Address as Person
from tracker.mail.message_ids import NOTICE_HEADER, new_id, notice_mark
from tracker.mail.mime.build import MessageContent, build_message
from tracker.models import Account, Customer, CustomerAddress, Letter, Mailbox, Notice, User
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import LocalizedText

MAILED = frozenset({"broken", "broken_long", "recovered", "problems"})
"""What also goes by mail: it needs doing, or ends what did."""

PROBLEMS: Mapping[str, str] = {
    "unparsed": N_("A letter could not be understood; it is kept as it came."),
    "too_large": N_("A letter was too large; only its beginning was loaded."),
    "attachment": N_("An attachment was not taken."),
    "retry_exhausted": N_("A letter could not be loaded after several tries."),
    "rebuilt": N_("The mailbox was rebuilt on its server; its letters were found again."),
    "backfilled": N_("Old letters were put into the mailbox; they are stored and not counted."),
    "loop": N_("One sender wrote very often; its letters are stored without notices."),
    "customer_not_found": N_("A letter was skipped: no such customer."),
}
"""What can go wrong with letters, by the code of the problem."""


def notice_label(notice: Notice, mailbox: Mailbox, letter: Letter | None) -> LocalizedText:
    """The sentence of the bell, and the subject of the mail."""
    address, facts = mailbox.address, notice.facts
    match notice.event:
        case "broken":
            return LocalizedText("The mailbox %(address)s cannot be read any more", address=address)
        case "broken_long":
            return LocalizedText("The mailbox %(address)s has not been read for a day", address=address)
        case "recovered":
            return LocalizedText("The mailbox %(address)s is read again", address=address)
        case "problems":
            count = sum(map(int, facts.get("codes", {}).values()))
            return LocalizedText("%(address)s: trouble with letters (%(count)s)", address=address, count=count)
        case "first_load":
            letters = int(facts.get("letters", 0))
            return LocalizedText("Letters loaded from %(address)s: %(letters)s", address=address, letters=letters)
        case "loop":
            return LocalizedText(
                "%(sender)s writes again and again, as a machine does. "
                "The letters are stored; nobody is told of more of them today",
                sender=letter.sender if letter is not None else address,
            )
        case "group_empty":
            return LocalizedText(
                "%(address)s: a new customer has no manager, because nobody is in the group “%(group)s”",
                address=address,
                group=str(facts.get("group", "")),
            )
    return LocalizedText("News of the mailbox %(address)s", address=address)


def assigned_words(session: Session, notice: Notice, letter: Letter | None) -> LocalizedText:
    """What the new manager of a customer or an enquiry is told: whom it is about."""
    who = letter.sender_address or letter.sender if letter is not None else _customer_words(session, notice)
    if notice.event == "enquiry_assigned":
        return LocalizedText("An enquiry from %(who)s was given to you", who=who)
    return LocalizedText("A new customer is yours: %(who)s", who=who)


def _customer_words(session: Session, notice: Notice) -> str:
    customer = int(notice.facts.get("customer", 0))
    addresses = select(CustomerAddress.address).where(CustomerAddress.customer_id == customer)
    first = session.exec(addresses.order_by(col(CustomerAddress.position)).limit(1)).first()
    row = session.get(Customer, customer)
    return first or (row.name if row is not None else "")


def write_notice(
    context: AppContext, person: User, account: Account, notice: Notice, mailbox: Mailbox, letter: Letter | None
) -> bytes:
    """The notice in wire form, in the language being spoken. The same notice always has the same Message-ID."""
    message_id = new_id(context.keyring, "n", f"{notice.id:08d}", domain_of(account.address))
    title, site = localize(notice_label(notice, mailbox, letter)), context.settings.base_url
    facts = {
        "title": title,
        "lines": _lines(notice, mailbox),
        "links": [f"{site}/letters/{public_id}" for public_id in notice.facts.get("letters_of", [])],
        "page": f"{site}/mailboxes/{mailbox.public_id}",
    }
    return build_message(
        MessageContent(
            sender=Person(account.address, "Inkling"),
            to=(Person(person.email, person.name),),
            subject=title,
            message_id=message_id,
            date=notice.created_at,
            html=write("letters/notice.html", **facts),
            text=write("letters/notice.txt", **facts),
            headers=(
                ("Auto-Submitted", "auto-generated"),  # RFC 3834: no machine answers it
                ("X-Loop", account.address),
                (NOTICE_HEADER, notice_mark(context.keyring, message_id)),
            ),
        )
    )


def _lines(notice: Notice, mailbox: Mailbox) -> list[str]:
    if notice.event == "problems":
        return [f"- {_(PROBLEMS.get(code, code))} ({count})" for code, count in notice.facts.get("codes", {}).items()]
    return (
        [localize(mailbox.state_detail)] if notice.event in ("broken", "broken_long") and mailbox.state_detail else []
    )


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
