"""What callers say of credentials and mailboxes, and what is answered about them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tracker.fields import Address, Body, Line, Name, Shape
from tracker.inbound.credentials import MailboxError
from tracker.mail_services import PRESETS
from tracker.models import Credential, Mailbox
from tracker.web.api.errors import Problem


def _preset(name: str) -> str:
    if name not in PRESETS:
        raise ValueError(f"There is no such preset; known are {', '.join(PRESETS)}.")
    return name


def _secret(secret: str) -> str:
    if any(c in secret for c in "\0\r\n"):
        raise ValueError("A secret cannot hold line breaks.")
    return secret


class CredentialsChange(Body):
    """What to change; what is left out stays. Another host, port, protocol or login without its secret forgets the stored one."""

    name: Name = Field(default_factory=str)
    preset: Annotated[str, AfterValidator(_preset)] = Field(default_factory=lambda: "other")
    protocol: Literal["imap", "pop3"] = Field(default_factory=lambda: "imap")
    host: Annotated[Line, Field(max_length=255)] = Field(default_factory=str)
    port: int = Field(default_factory=lambda: 993, ge=1, le=65535)
    security: Literal["tls", "starttls", "none"] = Field(default_factory=lambda: "tls")
    login: Annotated[Line, Field(max_length=254)] = Field(default_factory=str)
    address: Address = Field(default_factory=str, description="The same as “login”, where that is an address.")
    secret: Annotated[str, Field(max_length=1000), AfterValidator(_secret)] | None = Field(
        default=None, description="App password. Written, never shown."
    )

    def facts(self) -> dict[str, Any]:
        """What was given, without the secret."""
        given = {name: getattr(self, name) for name in self.model_fields_set - {"secret", "address"}}
        return {"login": self.address, **given} if "address" in self.model_fields_set else given


class NewCredentials(CredentialsChange):
    """How to sign in to a mailbox. With a ``preset`` the server is known."""


class CredentialsShape(Shape):
    """Credentials. ``secret_set`` says whether a secret is stored; the secret itself is never shown."""

    id: str
    name: str
    preset: str
    protocol: str
    host: str
    port: int
    security: str
    login: str
    auth: str
    secret_set: bool
    created_at: datetime

    @classmethod
    def of(cls, credential: Credential) -> "CredentialsShape":
        same = credential.model_dump(include=set(cls.model_fields) - {"id", "secret_set"})
        return cls(id=credential.public_id, secret_set=credential.secret is not None, **same)


_Days = Annotated[int, Field(ge=0, le=365)]


class MailboxChange(Body):
    """What to change of a mailbox; what is left out stays."""

    credentials: Annotated[Line, Field(max_length=16)] = Field(default_factory=str)
    name: Name = Field(default_factory=str)
    address: Address = Field(default_factory=str)
    active: bool = Field(default_factory=lambda: True)
    repeat_period_days: _Days = Field(default_factory=lambda: 1)
    folders: Annotated[list[Annotated[Line, Field(max_length=500)]], Field(min_length=1, max_length=100)] = Field(
        default_factory=lambda: ["INBOX"]
    )
    all_folders: bool = Field(default_factory=bool)
    first_window: Literal["last_24h", "all_unread", "from_now"] = Field(default_factory=lambda: "last_24h")
    collect_pause_days: _Days = Field(default_factory=int)
    only_unread: bool = Field(default_factory=bool)
    mark_read: bool = Field(default_factory=bool)
    delete_loaded: bool = Field(default_factory=bool)
    delete_after_days: _Days = Field(default_factory=int)
    notify_manager: bool = Field(default_factory=lambda: True)
    create_customer: bool = Field(default_factory=bool)
    notify_skipped: bool = Field(default_factory=lambda: True)
    unwrap_forwarded: bool = Field(default_factory=bool)
    group: Annotated[Line, Field(max_length=16)] | None = Field(default_factory=lambda: None)
    shop: Annotated[Line, Field(max_length=16)] | None = Field(default_factory=lambda: None)

    def choices(self) -> dict[str, Any]:
        """What was given about the mailbox itself."""
        return {name: getattr(self, name) for name in self.model_fields_set - {"credentials"}}


class NewMailbox(MailboxChange):
    """A mailbox to connect. ``credentials`` are the id of stored ones, or new ones."""

    credentials: Annotated[Line, Field(max_length=16)] | NewCredentials  # type: ignore[assignment]


class RunShape(Shape):
    """The last run. ``problem`` is empty when it went well."""

    started_at: datetime | None
    ended_at: datetime | None
    problem: str
    loaded: int


class MailboxShape(Shape):
    """A connected mailbox. ``state`` is active, no_credentials, duplicate, auth_error, checking, connection_error,
    folder_missing, throttled, needs_oauth or paused, with the reason in ``state_detail``. ``noticed_at_once`` says whether its
    server tells of new mail just now; it is looked for every ten minutes in any case."""

    id: str
    credentials: str | None
    name: str
    address: str
    active: bool
    repeat_period_days: int
    folders: list[str]
    all_folders: bool
    first_window: str
    collect_pause_days: int
    only_unread: bool
    mark_read: bool
    delete_loaded: bool
    delete_after_days: int
    notify_manager: bool
    create_customer: bool
    notify_skipped: bool
    unwrap_forwarded: bool
    group: str | None
    shop: str | None
    state: str
    state_detail: str
    state_since: datetime
    found_folders: list[str]
    letters_on_server: int | None
    checked_at: datetime | None
    last_run: RunShape | None
    good_run_at: datetime | None
    due_at: datetime | None
    noticed_at_once: bool
    created_at: datetime

    @classmethod
    def of(cls, mailbox: Mailbox, credential: Credential | None, *, noticed_at_once: bool) -> "MailboxShape":
        same = mailbox.model_dump(include=set(cls.model_fields) - {"id", "credentials", "last_run", "noticed_at_once"})
        return cls(
            id=mailbox.public_id,
            credentials=credential.public_id if credential else None,
            last_run=_run(mailbox),
            noticed_at_once=noticed_at_once,
            **same,
        )


def _run(mailbox: Mailbox) -> RunShape | None:
    if mailbox.run_started_at is None and mailbox.run_ended_at is None:
        return None
    return RunShape(
        started_at=mailbox.run_started_at,
        ended_at=mailbox.run_ended_at,
        problem=str(mailbox.run_problem),
        loaded=mailbox.run_loaded,
    )


_STATUS: Mapping[str, int] = {"duplicate": 409, "limit": 409, "in_use": 409}


def refused(error: MailboxError) -> Problem:
    """The error as an answer: what is taken or full is a conflict, the rest a field that is off."""
    return Problem(_STATUS.get(error.code, 422), str(error), field=error.field or "mailbox", code=error.code)
