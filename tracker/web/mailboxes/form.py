"""The form of a mailbox and its credentials: what it shows, and the inputs that it makes."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData

from tracker.inbound.mailbox_input import LONGEST_PERIOD, CredentialsChange, MailboxChange, NewCredentials
from tracker.locale import N_
from tracker.mail.discovery import preset_of
from tracker.models import Credential, FirstWindow, Mailbox
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.http.forms import parse, text

BY_ADDRESS = "auto"
"""The choice "by my address" of the form: no preset, but the way to one."""
FIRST_WINDOWS: Mapping[str, tuple[str, str]] = {
    FirstWindow.LAST_24H: (N_("The last 24 hours"), N_("Enough to see at once that it works.")),
    FirstWindow.ALL_UNREAD: (N_("Everything unread"), N_("May take hours in a full mailbox; it can be interrupted.")),
    FirstWindow.FROM_NOW: (N_("Only what comes from now on"), ""),
}
_SWITCHES = (
    *("active", "all_folders", "only_unread", "mark_read", "delete_loaded"),
    *("notify_manager", "create_customer", "notify_skipped"),
)
_DAYS = LocalizedText("Give whole days from 0 to %(most)s.", most=LONGEST_PERIOD)
_SENTENCES: Mapping[str, str] = {
    "address": LocalizedText("This is not an e-mail address. Write it like anna@example.com."),
    "preset": LocalizedText(
        "The service behind this address is not known here. Choose it, or “Another server” and its host."
    ),
    "port": LocalizedText("The port must be a number from 1 to 65535, such as 993 or 995."),
    "form_robots": LocalizedText("Write one address on each line, such as noreply@forms.example."),
    "folders": LocalizedText("Name at least one folder, such as INBOX, and at most 100."),
    **dict.fromkeys(("repeat_period_days", "collect_pause_days", "delete_after_days"), _DAYS),
}
BLANK: Mapping[str, Any] = {
    **CredentialsChange().model_dump(),
    **MailboxChange().model_dump(),
    "credential": "",
    "preset": BY_ADDRESS,
    "folders": "INBOX",
    "form_robots": "",
}
"""What the form shows before anything was typed."""


def texts_of(mailbox: Mailbox, credential: Credential | None) -> Mapping[str, Any]:
    """What the form of a mailbox shows. The secret is never shown."""
    server = set(CredentialsChange.model_fields) - {"name", "secret"}
    return {
        **BLANK,
        **mailbox.model_dump(include=set(MailboxChange.model_fields)),
        **(credential.model_dump(include=server) if credential else {}),
        "folders": "\n".join(mailbox.folders),
        "form_robots": "\n".join(mailbox.form_robots),
    }


def typed(form: FormData) -> Mapping[str, Any]:
    """What was typed, to be shown again."""
    return {**BLANK, **dict.fromkeys(_SWITCHES, ""), **form}


def read_form(context: AppContext, form: FormData, *, is_new: bool) -> tuple[MailboxChange, NewCredentials]:
    """The choices about the mailbox, and its credentials unless saved ones were picked. May ask DNS for the service of the address.

    Raises :class:`ActionError` that names everything that does not fit.
    """
    choices, credentials, wrong = MailboxChange(), NewCredentials(), dict[str, str]()
    try:
        choices = _read_choices(form)
    except ActionError as error:
        wrong |= error.fields
    if not text(form, "credential"):
        try:
            credentials = _read_credentials(context, form, is_new=is_new)
        except ActionError as error:
            wrong |= error.fields
        if is_new and not form.get("secret"):
            wrong["secret"] = LocalizedText("The password is missing. See above how to make one for your service.")
    if wrong:
        raise ActionError.of_fields(wrong)
    return choices, credentials


def _read_choices(form: FormData) -> MailboxChange:
    values = {**form, "folders": _lines(form, "folders"), "form_robots": _lines(form, "form_robots")}
    if not text(form, "address"):
        values.pop("address", None)
    return parse(MailboxChange, values, boxes=_SWITCHES, sentences=_SENTENCES)


def _lines(form: FormData, name: str) -> list[str]:
    lines = text(form, name, 50_000).replace(";", "\n").splitlines()
    return [line.strip() for line in lines if line.strip()]


def _read_credentials(context: AppContext, form: FormData, *, is_new: bool) -> NewCredentials:
    preset = text(form, "preset") or BY_ADDRESS
    if preset == BY_ADDRESS:
        preset = preset_of(context, text(form, "address")) or ""
    unsaid = {"login"} if not text(form, "login") else set[str]()
    unsaid |= set() if preset == "other" else {"host", "port", "security"}
    unsaid |= set() if is_new else {"name"}
    values = {name: value for name, value in form.items() if name not in unsaid}
    return parse(NewCredentials, {**values, "preset": preset}, sentences=_SENTENCES)
