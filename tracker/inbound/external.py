"""Letters from elsewhere (another program's, a form's, a messenger's): they are read, counted, bound and attributed like any other.

They lie in a mailbox of their own that nobody connected and nothing reads.
"""

from email.headerregistry import Address as HeaderAddress
from email.message import EmailMessage
from email.utils import format_datetime
from secrets import token_hex
from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlmodel import Session, select

from tracker.inbound.accept import accept
from tracker.inbound.fetch.fetched_letter import FetchedLetter, LetterLocation
from tracker.mail.addresses import domain_of
from tracker.mail.fields import EmailAddress, Moment, RequestModel, SingleLine, Text
from tracker.models import Letter, LetterSource, Mailbox, MailboxFolder, MailboxState, Site, SiteSource, User, Visit
from tracker.models.ownership import find_owned
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.sites.source_names import is_level, named_source

_FOLDER = "external"


class ExternalAddress(RequestModel):
    address: EmailAddress
    name: Annotated[SingleLine, Field(max_length=200)] = ""


def _with_address(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


Recipients = Annotated[list[Annotated[ExternalAddress, BeforeValidator(_with_address)]], Field(max_length=100)]
"""An address may stand there bare, without a name."""


class ExternalLetter(RequestModel):
    """A letter from elsewhere. ``visit`` or ``source`` say where it comes from; else its addresses do."""

    received_at: Moment
    sender: ExternalAddress = Field(alias="from")
    to: Recipients = []
    cc: Recipients = []
    bcc: Recipients = []
    subject: Annotated[SingleLine, Field(max_length=500)] = ""
    text: Annotated[Text, Field(max_length=500_000)] | None = None
    html: Annotated[Text, Field(max_length=500_000)] | None = None
    site: Annotated[SingleLine, Field(max_length=16)] | None = None
    visit: Annotated[SingleLine, Field(max_length=16)] | None = None
    source: Annotated[SingleLine, Field(max_length=120)] | None = None


def accept_external(session: Session, context: AppContext, user: User, new: ExternalLetter) -> Letter:
    """Takes the letter in. Raises :class:`ActionError`."""
    if not (new.to or new.cc or new.bcc):
        raise ActionError("invalid", LocalizedText("Say whom it was written to: to, cc or bcc."), "to")
    visit, site = _visit(session, user, new), _site(session, user, new)
    source = _source(session, user, new)
    mailbox, folder = _place(session, user)
    raw = _raw(new)
    fetched = FetchedLetter(
        place=LetterLocation(folder.id, 1, _number()),
        content=raw,
        path=None,
        size=len(raw),
        internal_date=new.received_at,
        fetched_at=max(now(), new.received_at),
    )
    taken = accept(session, context, mailbox, fetched)
    if taken.letter_id is None:
        raise ActionError("invalid", LocalizedText("This is a notice of our own; it is not taken in."), "from")
    letter = session.get_one(Letter, taken.letter_id)
    if visit is not None or source is not None or site is not None:
        _attribute(session, letter, visit, source, site)
    return letter


def _visit(session: Session, user: User, new: ExternalLetter) -> Visit | None:
    visit = find_owned(session, Visit, user, new.visit) if new.visit else None
    if new.visit and visit is None:
        raise ActionError("invalid", LocalizedText("There is no such visit."), "visit")
    return visit


def _site(session: Session, user: User, new: ExternalLetter) -> Site | None:
    site = find_owned(session, Site, user, new.site) if new.site else None
    if new.site and site is None:
        raise ActionError("invalid", LocalizedText("There is no such site. Choose one of yours."), "site")
    return site


def _source(session: Session, user: User, new: ExternalLetter) -> dict[str, str] | None:
    if not new.source:
        return None
    own = find_owned(session, SiteSource, user, new.source)
    if own is None and not is_level(new.source):
        text = LocalizedText("There is no such source. Choose one of yours, or a standard one.")
        raise ActionError("invalid", text, "source")
    facts = {own.public_id: own.model_dump(include={"name", "channel", "group"}) | {"id": own.public_id}} if own else {}
    return named_source(new.source, facts)


def _attribute(
    session: Session, letter: Letter, visit: Visit | None, source: dict[str, str] | None, site: Site | None
) -> None:
    row = session.get(LetterSource, letter.id) or LetterSource(
        letter_id=letter.id,
        user_id=letter.user_id,
        received_at=letter.received_at,
        sender=letter.sender,
        method="none",
    )
    if visit is not None:
        row.method, row.visit_id, row.source, row.site_id = "code", visit.id, visit.attributed or None, visit.site_id
    if source is not None:
        row.method, row.source = ("external" if visit is None else row.method), source
    if site is not None and visit is None:
        row.site_id = site.id
    session.add(row)


def _place(session: Session, user: User) -> tuple[Mailbox, MailboxFolder]:
    name = f"external:{user.public_id}"
    mailbox = session.exec(select(Mailbox).where(Mailbox.user_id == user.id, Mailbox.canonical == name)).first()
    if mailbox is None:
        mailbox = Mailbox(
            user_id=user.id,
            canonical=name,
            name="External",
            active=False,
            state=MailboxState.PAUSED,
            removed_at=now(),
            repeat_period_days=1,
        )
        session.add(mailbox)
        session.flush()
        session.add(MailboxFolder(mailbox_id=mailbox.id, raw_name=_FOLDER, name=_FOLDER, cut_off=now()))
        session.flush()
    folder = session.exec(select(MailboxFolder).where(MailboxFolder.mailbox_id == mailbox.id)).one()
    return mailbox, folder


def _number() -> int:
    """A number for the place, which no two letters share."""
    return int(now().timestamp() * 1_000_000)


def _raw(new: ExternalLetter) -> bytes:
    """The letter as mail (RFC 5322)."""
    message = EmailMessage()
    message["From"] = _header(new.sender)
    for name, people in (("To", new.to), ("Cc", new.cc), ("Bcc", new.bcc), ("X-Original-To", new.bcc)):
        if people:
            message[name] = ", ".join(str(_header(person)) for person in people)
    message["Subject"] = new.subject
    message["Date"] = format_datetime(new.received_at.replace(microsecond=0))
    message["Message-ID"] = f"<{token_hex(12)}@{domain_of(new.sender.address)}>"
    message.set_content(new.text or "")
    if new.html:
        message.add_alternative(new.html, subtype="html")
    return message.as_bytes()


def _header(person: ExternalAddress) -> HeaderAddress:
    return HeaderAddress(display_name=person.name, addr_spec=person.address)
