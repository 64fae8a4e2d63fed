"""Mailboxes: connect, see how they go, change, read at once, remove."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import preference, set_preference
from tracker.inbound.credentials import (
    can_sign_in,
    change_credential,
    chosen_credential,
    credential_of,
    delete_credential,
    make_credential,
    unused_credentials,
)
from tracker.inbound.fetch.check import check_mailbox
from tracker.inbound.fetch.idle_leases import is_subscribed
from tracker.inbound.fetch.schedule import being_read
from tracker.inbound.mailbox_input import NewCredentials
from tracker.inbound.mailboxes import (
    change_mailbox,
    connect_mailbox,
    connected_mailboxes,
    credential_changed,
    remove_mailbox,
    sign_in_mailbox,
    sync_now,
)
from tracker.inbound.recount import preview, recount
from tracker.locale import _, localize, ngettext
from tracker.mail.oauth_providers import configured
from tracker.mail.services import PRESETS
from tracker.models import Credential, Mailbox, MailboxState, ManagerGroup, Shop, User
from tracker.models.ownership import owned
from tracker.runtime.context import AppContext
from tracker.runtime.localized_text import ActionError
from tracker.runtime.values import whole_number
from tracker.web.accounts.oauth_page import PURPOSES, purpose_of
from tracker.web.api.errors import STATUS
from tracker.web.http.actions import changing, named_row, perform_on
from tracker.web.http.forms import FormErrors, errors_of, text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render
from tracker.web.http.throttle import connection_tests
from tracker.web.http.typed_secrets import typed_secrets, with_typed_secrets
from tracker.web.mailboxes import rows as mailbox_rows
from tracker.web.mailboxes.form import BLANK, BY_ADDRESS, FIRST_WINDOWS, read_form, texts_of, typed
from tracker.web.mailboxes.rows import RECENT_DAYS, figures_of, problem_counts, problems_of, proposed_robots

routes = Routes()
BASE_PATH = "/mailboxes"
MOST_MAILBOXES = 1000
_SECRETS = ("secret",)


@routes.page(BASE_PATH)
def mailboxes(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        rows = connected_mailboxes(session, user)
        context = {
            "mailboxes": rows,
            "figures": figures_of(session, rows),
            "problems": problem_counts(session, rows),
            "heard": {mailbox.id for mailbox in rows if is_subscribed(session, mailbox)},
            "being_read": being_read(session),
            "words": mailbox_rows,
            "days": RECENT_DAYS,
            "limit": preference(session, "mailbox_limit"),
            "most": MOST_MAILBOXES,
        }
    return render(request, "mailboxes/mailboxes.html", context)


@routes.page(f"{BASE_PATH}/new")
def new(request: Request, user: User) -> Response:
    return _form(request, user, None, BLANK, {})


@routes.page(f"{BASE_PATH}/{{id}}")
def edit(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        mailbox = owned(session, Mailbox, user, request.path_params["id"])
        texts = texts_of(mailbox, credential_of(session, mailbox))
    return _form(request, user, mailbox, texts, {})


@routes.action(BASE_PATH)
def add(request: Request, user: User, form: FormData) -> Response:
    context = context_of(request)
    form = with_typed_secrets(context, form, _SECRETS, user.public_id)
    with changing(request, lambda error: _refused(request, user, None, form, error)) as session:
        choices, server = read_form(context, form, is_new=True)
        if picked := text(form, "credential"):
            credential = chosen_credential(session, user, picked)
        else:
            credential = make_credential(session, context, user.id, server)
        mailbox = connect_mailbox(session, user.id, credential, choices)
    return tested(request, user, mailbox)


@routes.admin_action(f"{BASE_PATH}/limit")
def limit(request: Request, user: User, form: FormData) -> Response:
    """How many mailboxes each person may connect."""
    most = whole_number(text(form, "limit"), MOST_MAILBOXES)
    if not most:
        return redirect(BASE_PATH, _("Give a whole number from 1 to %(most)s.", most=MOST_MAILBOXES), kind="problem")
    with context_of(request).database.session_scope() as session:
        set_preference(session, "mailbox_limit", most, user.id)
    return redirect(BASE_PATH, _("Saved."))


@routes.action(f"{BASE_PATH}/{{id}}")
def save(request: Request, user: User, form: FormData) -> Response:
    context, before = context_of(request), named_row(request, user, Mailbox)
    form = with_typed_secrets(context, form, _SECRETS, user.public_id)
    with changing(request, lambda error: _refused(request, user, before, form, error)) as session:
        choices, server = read_form(context, form, is_new=False)
        mailbox = owned(session, Mailbox, user, before.public_id)
        credential = _credential_for(session, context, mailbox, server)
        change_mailbox(session, mailbox, credential, choices)
        ready = can_sign_in(credential)
    if not ready:
        sentence = _("Saved. The server or login is another one now, so the password was forgotten: enter it again.")
        return redirect(f"{BASE_PATH}/{mailbox.public_id}#secret", sentence, kind="problem")
    if not mailbox.active:
        return redirect(BASE_PATH, _("Saved. %(address)s is switched off.", address=mailbox.address))
    return tested(request, user, mailbox)


@routes.action(f"{BASE_PATH}/{{id}}/check")
def check(request: Request, user: User, _form: FormData) -> Response:
    return tested(request, user, named_row(request, user, Mailbox))


@routes.action(f"{BASE_PATH}/{{id}}/sync")
def sync(request: Request, user: User, _form: FormData) -> Response:
    return perform_on(request, user, Mailbox, BASE_PATH, sync_now, _("%(address)s is read now."))


@routes.action(f"{BASE_PATH}/{{id}}/removal")
def removal(request: Request, user: User, form: FormData) -> Response:
    """Disconnects it. Letters stay; with ``forget`` the credentials go, too."""

    def work(session: Session, mailbox: Mailbox) -> None:
        unused = remove_mailbox(session, mailbox)
        if unused is not None and form.get("forget") == "on":
            mailbox.credential_id = None
            session.flush()
            delete_credential(session, unused)

    sentence = _("%(address)s is disconnected. Its letters stay, and come back to it when you connect it again.")
    return perform_on(request, user, Mailbox, BASE_PATH, work, sentence)


@routes.page(f"{BASE_PATH}/{{id}}/recount")
def recount_preview(request: Request, user: User) -> Response:
    """What counting again under the present period would change, before anything is changed."""
    with context_of(request).database.reading() as session:
        mailbox = owned(session, Mailbox, user, request.path_params["id"])
        context = {"mailbox": mailbox, "difference": preview(session, mailbox)}
    return render(request, "mailboxes/mailbox_recount.html", context)


@routes.action(f"{BASE_PATH}/{{id}}/recount")
def recount_now(request: Request, user: User, _form: FormData) -> Response:
    with context_of(request).database.session_scope() as session:
        mailbox = owned(session, Mailbox, user, request.path_params["id"])
        there, done = f"{BASE_PATH}/{mailbox.public_id}", recount(session, mailbox)
    sentence = ngettext("Counted again: %(num)d enquiry now.", "Counted again: %(num)d enquiries now.", done.after)
    return redirect(there, sentence)


def _credential_for(session: Session, context: AppContext, mailbox: Mailbox, change: NewCredentials) -> Credential:
    """The mailbox's own credentials with what was typed, or new ones where it has none. Raises :class:`ActionError`."""
    credential = credential_of(session, mailbox)
    if credential is None:
        return make_credential(session, context, mailbox.user_id, change)
    change_credential(session, context, credential, change)
    credential_changed(session, credential)
    return credential


_FIELDS: Mapping[str, str] = {"login": "address", "mailbox": "form", "credentials": "credential"}
"""Where the form shows what an action says of another field."""


def _refused(request: Request, user: User, mailbox: Mailbox | None, form: FormData, error: ActionError) -> Response:
    wrong = {_FIELDS.get(field, field): text for field, text in errors_of(error).items()}
    passwords = typed_secrets(context_of(request), form, _SECRETS, user.public_id, wrong)
    return _form(request, user, mailbox, typed(form), wrong, STATUS[error.code], passwords)


def _form(
    request: Request,
    user: User,
    mailbox: Mailbox | None,
    texts: Mapping[str, Any],
    wrong: FormErrors,
    status: int = 200,
    passwords: Mapping[str, str] = MappingProxyType({}),
) -> Response:
    with context_of(request).database.reading() as session:
        free = unused_credentials(session, user)
        credential = credential_of(session, mailbox) if mailbox else None
        problems, robots = problems_of(session, mailbox), proposed_robots(session, mailbox)
        at_once = mailbox is not None and is_subscribed(session, mailbox)
        read_now = being_read(session)
        groups = session.exec(select(ManagerGroup.public_id, ManagerGroup.name).order_by(ManagerGroup.name)).all()
        shops = session.exec(select(Shop.public_id, Shop.name).order_by(Shop.name)).all()
    reading = {key: preset for key, preset in PRESETS.items() if preset.imap_host or key == "other"}
    context = {
        "mailbox": mailbox,
        "credential": credential,
        "free": free,
        "typed": texts,
        "wrong": wrong,
        "presets": reading,
        "by_address": BY_ADDRESS,
        "services": [*([] if mailbox else [(BY_ADDRESS, _("Found by my address"))])]
        + [(key, _(preset.name)) for key, preset in reading.items()],
        "first_windows": [(key, _(name), _(hint) if hint else "") for key, (name, hint) in FIRST_WINDOWS.items()],
        "groups": [("", _("none: nobody is assigned")), *groups],
        "shops": [("", _("all shops")), *shops],
        "problems": problems,
        "proposed_robots": robots,
        "at_once": at_once,
        "being_read": read_now,
        "providers": configured(context_of(request).settings),
        "words": mailbox_rows,
        "typed_secrets": passwords,
    }
    return render(request, "mailboxes/mailbox.html", context, status)


def tested(request: Request, user: User, mailbox: Mailbox) -> Response:
    """Signs in and says how that went: on the list when it works, else where it can be mended."""
    there = f"{BASE_PATH}/{mailbox.public_id}"
    try:
        connection_tests.take(user)
    except ActionError:
        return redirect(BASE_PATH, _("Saved. Too many tests; this one follows in a minute."), kind="problem")
    finding = check_mailbox(context_of(request), mailbox.id)
    if finding.state == MailboxState.ACTIVE:
        sentence = _("The integration works: %(address)s is connected, and its letters are being loaded.")
        return redirect(BASE_PATH, sentence % {"address": mailbox.address})
    if finding.state == MailboxState.THROTTLED:
        return redirect(BASE_PATH, localize(finding.detail), kind="problem")
    return redirect(there, _("Saved, but it does not work yet. See below what is wrong."), kind="problem")


PURPOSES["mailbox"] = purpose_of(Mailbox, BASE_PATH, sign_in_mailbox, tested)
