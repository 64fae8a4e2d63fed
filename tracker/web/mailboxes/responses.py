"""What is answered about credentials and mailboxes."""

from datetime import datetime

from tracker.mail.fields import ResponseModel
from tracker.models import Credential, Mailbox


class CredentialsResponse(ResponseModel):
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
    def of(cls, credential: Credential) -> "CredentialsResponse":
        return cls.of_row(credential, secret_set=credential.secret is not None)


class RunResponse(ResponseModel):
    """The last run. ``ended_at`` is null while it goes on; ``problem`` is empty when it went well."""

    started_at: datetime | None
    ended_at: datetime | None
    problem: str
    loaded: int


class MailboxResponse(ResponseModel):
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
    form_robots: list[str]
    group: str | None
    shop: str | None
    state: str
    state_detail: str
    state_since: datetime
    found_folders: list[str]
    letters_on_server: int | None
    checked_at: datetime | None
    last_run: RunResponse | None
    good_run_at: datetime | None
    due_at: datetime | None
    noticed_at_once: bool
    created_at: datetime

    @classmethod
    def of(cls, mailbox: Mailbox, credential: Credential | None, *, noticed_at_once: bool) -> "MailboxResponse":
        return cls.of_row(
            mailbox,
            credentials=credential.public_id if credential else None,
            last_run=_run(mailbox),
            noticed_at_once=noticed_at_once,
        )


def _run(mailbox: Mailbox) -> RunResponse | None:
    started, ended = mailbox.run_started_at, mailbox.run_ended_at
    if started is None and ended is None:
        return None
    is_over = ended is not None and (started is None or ended >= started)
    return RunResponse(
        started_at=started,
        ended_at=ended if is_over else None,
        problem=str(mailbox.run_problem),
        loaded=mailbox.run_loaded,
    )
