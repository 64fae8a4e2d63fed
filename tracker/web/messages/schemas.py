"""What callers say of a message to send, as a :class:`Draft`."""

import binascii
import re
from base64 import b64decode
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlmodel import Session

from tracker.mail.addresses import Address
from tracker.mail.fields import EmailAddress, Moment, Name, RequestModel, SingleLine, Text
from tracker.models import Account, Message
from tracker.models.ownership import find_owned, owned_rows
from tracker.outbound.draft import Draft, OutgoingFile
from tracker.outbound.rewriter.href import web_address
from tracker.runtime.limits import MAX_RECIPIENTS
from tracker.web.api.call import RequestContext
from tracker.web.api.errors import Problem

MAX_FILES = 100
_MEDIA_TYPE = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")  # RFC 6838 section 4.2
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,120}@[^<>\s]{1,130}>")


def _media_type(text: str) -> str:
    if not _MEDIA_TYPE.fullmatch(text):
        raise ValueError("This is not a media type; it looks like application/pdf.")
    return text.lower()


def _filename(text: str) -> str:
    if not text or "/" in text or "\\" in text:
        raise ValueError("This is not the name of a file; it looks like offer.pdf.")
    return text


class MailboxBody(RequestModel):
    address: EmailAddress
    name: Name = ""


class FileBody(RequestModel):
    """A file to attach. All files of a message may have 25 MB together, before base64."""

    filename: Annotated[SingleLine, Field(max_length=255), AfterValidator(_filename)]
    content_type: Annotated[str, AfterValidator(_media_type)] = "application/octet-stream"
    content_base64: str = Field(description="RFC 4648 section 4; line breaks are passed over.")
    content_id: Annotated[str, Field(pattern=r"^[!#-'*+\-./0-9=?@A-Z^_`a-z{|}~]{1,80}$")] | None = Field(
        default=None, description="Of a picture that the HTML shows as “cid:” and this (RFC 2392)."
    )


class TrackBody(RequestModel):
    """What is left out follows the person’s defaults."""

    opens: bool | None = None
    links: bool | None = None


_People = Annotated[list[MailboxBody], Field(max_length=MAX_RECIPIENTS)]


class NewMessage(RequestModel):
    """A message to send. Without ``account`` the oldest one is used; without ``send_at`` it leaves after the undo time."""

    account: str | None = None
    to: _People = []
    cc: _People = []
    bcc: _People = []
    subject: SingleLine = ""
    html: Text | None = None
    text: Text | None = None
    attachments: Annotated[list[FileBody], Field(max_length=MAX_FILES)] = []
    track: TrackBody | None = None
    send_at: Moment | None = None
    in_reply_to: SingleLine | None = Field(default=None, description="Message-ID, or the id of a message of one’s own.")
    follow_up_days: int | None = Field(default=None, ge=1, le=365)
    untracked_links: Annotated[list[SingleLine], Field(max_length=MAX_FILES)] = Field(
        default=[], description="Links to leave alone, as written in the HTML; “data-no-track” on a link does the same."
    )


def draft_of(session: Session, call: RequestContext, new: NewMessage) -> Draft:
    """Raises :class:`Problem` naming the field that cannot be used."""
    answers, references = _thread(session, call, new.in_reply_to)
    track = new.track or TrackBody()
    return Draft(
        account_id=_account_id(session, call, new.account),
        to=_mailboxes(new.to),
        cc=_mailboxes(new.cc),
        bcc=_mailboxes(new.bcc),
        subject=new.subject,
        html=new.html,
        text=new.text,
        attachments=tuple(_file(number, file) for number, file in enumerate(new.attachments)),
        track_opens=track.opens,
        track_links=track.links,
        send_at=new.send_at,
        in_reply_to=answers,
        references=references,
        follow_up_days=new.follow_up_days,
        untracked_links=frozenset(web_address(url) or url for url in new.untracked_links),
    )


def _mailboxes(people: list[MailboxBody]) -> tuple[Address, ...]:
    return tuple(Address(person.address, person.name) for person in people)


def _account_id(session: Session, call: RequestContext, id: str | None) -> int | None:
    if id is None:
        return None
    account = find_owned(session, Account, call.user, id)
    if account is None:
        raise Problem(422, "“account” is none of your accounts.", field="account", code="not_found")
    return account.id


def _file(number: int, file: FileBody) -> OutgoingFile:
    try:
        content = b64decode("".join(file.content_base64.split()), validate=True)
    except (binascii.Error, ValueError):
        field = f"attachments.{number}.content_base64"
        raise Problem(422, f"“{field}” is not base64 (RFC 4648).", field=field, code="base64") from None
    return OutgoingFile(file.filename, file.content_type, content, file.content_id)


def _thread(session: Session, call: RequestContext, answered: str | None) -> tuple[str | None, tuple[str, ...]]:
    """In-Reply-To and References (RFC 5322 section 3.6.4). One of our own messages brings its thread along."""
    if not answered:
        return None, ()
    by_header = answered if answered.startswith("<") else f"<{answered}>"
    if "@" not in answered:
        own = find_owned(session, Message, call.user, answered)
    elif _MESSAGE_ID.fullmatch(by_header):
        own = session.exec(owned_rows(Message, call.user).where(Message.message_id == by_header)).first()
    else:
        own = None
    if own is not None:
        return own.message_id, tuple(dict.fromkeys((own.thread or own.message_id, own.message_id)))
    if _MESSAGE_ID.fullmatch(by_header):
        return by_header, (by_header,)
    text = "“in_reply_to” is neither a Message-ID such as <abc@example.com> nor the id of a message of yours."
    raise Problem(422, text, field="in_reply_to", code="not_found")
