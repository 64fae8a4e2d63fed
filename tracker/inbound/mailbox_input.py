"""What a person says of credentials and mailboxes, on their page or through the API."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from tracker.mail.addresses import lookup_form
from tracker.mail.fields import ChangeModel, EmailAddress, Host, Name, Port, Preset, Secret, Security, SingleLine

LONGEST_PERIOD = 365
LookupAddress = Annotated[str, Field(max_length=254), AfterValidator(lookup_form)]
Days = Annotated[int, Field(ge=0, le=LONGEST_PERIOD)]
Id = Annotated[SingleLine, Field(max_length=16)]


class CredentialsChange(ChangeModel):
    """What to change; what is left out stays. Another host, port, protocol or login without its secret forgets the stored one."""

    name: Name = ""
    preset: Preset = "other"
    protocol: Literal["imap", "pop3"] = "imap"
    host: Host = ""
    port: Port = 993
    security: Security = "tls"
    login: Annotated[SingleLine, Field(max_length=254)] = ""
    address: EmailAddress = Field(default="", description="The same as “login”, where that is an address.")
    secret: Annotated[Secret, Field(max_length=1000)] | None = Field(
        default=None, description="App password. Written, never shown."
    )


class NewCredentials(CredentialsChange):
    """How to sign in to a mailbox. With a ``preset`` the server is known."""


class MailboxChange(ChangeModel):
    """What to change of a mailbox; what is left out stays."""

    credentials: Id = ""
    name: Name = ""
    address: EmailAddress = ""
    active: bool = True
    repeat_period_days: Days = 1
    folders: Annotated[
        list[Annotated[SingleLine, Field(min_length=1, max_length=500)]], Field(min_length=1, max_length=100)
    ] = ["INBOX"]
    all_folders: bool = False
    first_window: Literal["last_24h", "all_unread", "from_now"] = "last_24h"
    collect_pause_days: Days = 0
    only_unread: bool = False
    mark_read: bool = False
    delete_loaded: bool = False
    delete_after_days: Days = 0
    notify_manager: bool = True
    create_customer: bool = False
    notify_skipped: bool = True
    unwrap_forwarded: bool = False
    form_robots: Annotated[list[LookupAddress], Field(max_length=100)] = Field(
        default=[], description="Senders that write for the visitors of web forms: the writer is whom Reply-To names."
    )
    group: Id | None = None
    shop: Id | None = None


class NewMailbox(MailboxChange):
    """A mailbox to connect. ``credentials`` are the id of stored ones, or new ones."""

    credentials: Annotated[  # type: ignore[assignment]
        Annotated[Id, Tag("id")] | Annotated[NewCredentials, Tag("")],  # the empty tag is not named in an error's path
        Discriminator(lambda value: "id" if isinstance(value, str) else ""),
    ]
