"""``/accounts``: sending identities and their connection test. Secrets go in and never come out."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from sqlmodel import Session
from starlette.responses import Response

from tracker.mail.addresses import domain_of
from tracker.mail.fields import ResponseModel
from tracker.models import Account
from tracker.models.ownership import owned
from tracker.outbound.account_check import check_account
from tracker.outbound.account_input import AccountChange, NewAccount
from tracker.outbound.accounts import change_account, create_account, remove_account
from tracker.outbound.self_test import TEST_ID, has_arrived, read_test, send_test
from tracker.outbound.sending_domain.advice import Advice
from tracker.outbound.sending_domain.records import advice_for
from tracker.outbound.sending_domain.sending_services import link_rewriter
from tracker.runtime.database import now
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.errors import not_found
from tracker.web.api.idempotency import cached_response, idempotent
from tracker.web.api.resource import Resource
from tracker.web.http.throttle import connection_tests, domain_look_ups, test_mail_look_ups, test_mails

accounts = router("Accounts")


class ServerResponse(ResponseModel):
    """A mail server. ``secret_set`` says whether a secret is stored; the secret itself is never shown."""

    host: str
    port: int
    security: str
    login: str
    secret_set: bool


class AccountResponse(ResponseModel):
    """A sending identity. ``state`` is unchecked, works, broken or needs_sign_in, with the reason in ``state_detail``.

    ``signed_in``: it uses no passwords but a sign-in at the provider, made in the browser."""

    id: str
    name: str
    address: str
    preset: str
    smtp: ServerResponse
    imap: ServerResponse | None
    signed_in: bool
    files_own_copy: bool
    replaces_copy: bool
    per_minute: int | None
    per_day: int | None
    paused_until: datetime | None
    """While one of these limits is spent nothing leaves until then."""
    pause_reason: str | None
    measure_opens: bool
    measure_clicks: bool
    """Whether mail from this account may be measured at all, whatever its messages ask for."""
    rewrites_links: str | None
    """The service, where it may put links of its own into what it sends: switch that off there."""
    sent_folder: str | None
    confirmed_at: datetime | None
    state: str
    state_detail: str
    checked_at: datetime | None
    created_at: datetime

    @classmethod
    def of(cls, account: Account) -> "AccountResponse":
        return cls.of_row(
            account,
            smtp=_server(account, "smtp"),
            imap=_server(account, "imap"),
            signed_in=account.oauth_grant_id is not None,
            rewrites_links=link_rewriter(account.smtp_host),
        )


class CheckResponse(AccountResponse):
    """The account after its test, and how the test of each server went."""

    smtp_ok: bool
    smtp_text: str
    imap_ok: bool | None
    imap_text: str


def _server(account: Account, kind: str) -> ServerResponse | None:
    host, port, security, login, secret = (
        getattr(account, f"{kind}_{name}") for name in ("host", "port", "security", "login", "secret")
    )
    if not host:
        return None
    facts: dict[str, Any] = {"port": port or 993, "security": security or "tls", "login": login or ""}
    return ServerResponse(host=host, secret_set=secret is not None, **facts)


def _save(session: Session, call: RequestContext, account: Account | None, change: AccountChange) -> Account:
    if account is None:
        assert isinstance(change, NewAccount)
        return create_account(call.context, session, call.user, change)
    change_account(call.context, session, account, change)
    return account


ACCOUNTS = Resource(
    plural="accounts",
    singular="account",
    model=Account,
    new=NewAccount,
    change=AccountChange,
    response=AccountResponse,
    show=lambda session, call, rows: [AccountResponse.of(row) for row in rows],
    save=_save,
    remove=lambda session, call, row: remove_account(call.context, session, row),
    texts=(
        "My accounts, the oldest first: that one is used when a message names none.",
        "One account.",
        "Adds an account. Test it with ``POST /accounts/{id}/check``.",
        "Changes what is given. Another host or login without its secret clears the stored one; another address must be "
        "confirmed again.",
        "Removes the account and forgets its secrets. What was sent from it stays.",
    ),
)
ACCOUNTS.add_to(accounts)


@accounts.post("/accounts/{id}/check", response_model=CheckResponse)
def post_account_check(call: Caller, id: str) -> Response:
    """Signs in to the account’s servers and says how that went. May take a minute when a server does not answer."""
    if (first := cached_response(call)) is not None:
        return first
    account = _own(call, id)
    connection_tests.take(call.user)
    result = check_account(call.context, account.id)

    def work(session: Session) -> CheckResponse:
        return CheckResponse.of_row(result, **dict(AccountResponse.of(owned(session, Account, call.user, id))))

    return idempotent(call, work)


class PublishResponse(ResponseModel):
    """A DNS record to publish."""

    name: str
    type: str
    value: str


class AdviceResponse(ResponseModel):
    """One finding about the domain: ``grade`` is good, warn, bad or unknown."""

    topic: str
    grade: str
    text: str
    publish: list[PublishResponse]


class DomainResponse(ResponseModel):
    """What receivers see of the account’s domain."""

    domain: str
    looked_up_at: datetime
    advice: list[AdviceResponse]


@accounts.get("/accounts/{id}/domain", response_model=DomainResponse)
def get_account_domain(call: Caller, id: str) -> DomainResponse:
    """SPF, DKIM and DMARC of the account’s domain, looked up now, with what to publish. Takes some seconds at the most."""
    account = _own(call, id)
    domain_look_ups.take(call.user)
    advice = _shapes(advice_for(call.context, account))
    return DomainResponse(domain=domain_of(account.address), looked_up_at=now(), advice=advice)


class TestMailResponse(ResponseModel):
    """A test from the account to itself: its ``id``, whether it has arrived, and what it tells."""

    id: str
    arrived: bool
    advice: list[AdviceResponse]


@accounts.post("/accounts/{id}/test-mail", response_model=TestMailResponse, status_code=202)
def post_account_test_mail(call: Caller, id: str) -> Response:
    """Sends a test from the account to itself. Read what became of it with ``GET …/test-mail/{test}``; that needs IMAP."""
    if (first := cached_response(call)) is not None:
        return first
    account = _own(call, id)
    test_mails.take(call.user)
    test_id = send_test(call.context, account)
    return idempotent(call, lambda _session: TestMailResponse(id=test_id, arrived=False, advice=[]), status=202)


@accounts.get("/accounts/{id}/test-mail/{test}", response_model=TestMailResponse)
def get_account_test_mail(call: Caller, id: str, test: str) -> TestMailResponse:
    """What the mailbox holds of the test: are links as they were written, is there a pixel, what does the receiver say."""
    account = _own(call, id)
    if not TEST_ID.fullmatch(test):
        raise not_found("There is no such test.")
    test_mail_look_ups.take(call.user)
    letter = read_test(call.context, account, test)
    return TestMailResponse(id=test, arrived=has_arrived(letter), advice=_shapes(letter))


def _shapes(advices: Iterable[Advice]) -> list[AdviceResponse]:
    return [
        AdviceResponse.of_row(advice, publish=[PublishResponse.of_row(record) for record in advice.publish])
        for advice in advices
    ]


def _own(call: RequestContext, id: str) -> Account:
    with call.reading() as session:
        return owned(session, Account, call.user, id)
