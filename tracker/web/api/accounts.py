"""``/accounts``: sending identities and their connection test. Secrets go in and never come out."""

import smtplib
from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import func
from sqlmodel import Session, col, select
from sqlmodel.sql.expression import SelectOfScalar
from starlette.responses import Response

from tracker.addresses import domain_of
from tracker.connect import ConnectError
from tracker.db import now
from tracker.fields import Shape
from tracker.models import Account, Delivery, DeliveryStatus, Message
from tracker.oauth import forget_unused
from tracker.outgoing.accounts import check_account, set_secret
from tracker.outgoing.domain_advice import Advice
from tracker.outgoing.domain_records import advice_for
from tracker.outgoing.self_test import TEST_ID, has_arrived, read_test, send_test
from tracker.outgoing.sending_services import link_rewriter
from tracker.web.api.account_bodies import AccountChange, NewAccount, change_account, make_account
from tracker.web.api.budget import Budget
from tracker.web.api.call import Call, Caller
from tracker.web.api.door import router
from tracker.web.api.errors import Problem, known, not_found
from tracker.web.api.idempotency import once, replayed
from tracker.web.api.paging import Listing, PageQuery, page

accounts = router("Accounts")
_tests = Budget(most=10, per_seconds=60)
"""Connection tests per person: each opens lines to servers that the caller names."""


_look_ups = Budget(most=20, per_seconds=60)
"""Look-ups per person: each asks a dozen questions of DNS."""


_MADE = {"id", "smtp", "imap", "signed_in", "rewrites_links"}


class ServerShape(Shape):
    """A mail server. ``secret_set`` says whether a secret is stored; the secret itself is never shown."""

    host: str
    port: int
    security: str
    login: str
    secret_set: bool


class AccountShape(Shape):
    """A sending identity. ``state`` is unchecked, works, broken or needs_sign_in, with the reason in ``state_detail``.

    ``signed_in``: it uses no passwords but a sign-in at the provider, made in the browser."""

    id: str
    name: str
    address: str
    preset: str
    smtp: ServerShape
    imap: ServerShape | None
    signed_in: bool
    files_own_copy: bool
    replaces_copy: bool
    per_minute: int | None
    per_day: int | None
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
    def of(cls, account: Account) -> "AccountShape":
        return cls(
            id=account.public_id,
            smtp=_smtp(account),
            imap=_imap(account),
            signed_in=account.oauth_grant_id is not None,
            rewrites_links=link_rewriter(account.smtp_host),
            **account.model_dump(include=set(cls.model_fields) - _MADE),
        )


class CheckShape(AccountShape):
    """The account after its test, and how the test of each server went."""

    smtp_ok: bool
    smtp_text: str
    imap_ok: bool | None
    imap_text: str


def _smtp(account: Account) -> ServerShape:
    return ServerShape(
        host=account.smtp_host,
        port=account.smtp_port,
        security=account.smtp_security,
        login=account.smtp_login,
        secret_set=account.smtp_secret is not None,
    )


def _imap(account: Account) -> ServerShape | None:
    if not account.imap_host:
        return None
    return ServerShape(
        host=account.imap_host,
        port=account.imap_port or 993,
        security=account.imap_security or "tls",
        login=account.imap_login or "",
        secret_set=account.imap_secret is not None,
    )


@accounts.get("/accounts", response_model=Listing[AccountShape])
def list_accounts(call: Caller, paged: PageQuery) -> Listing[AccountShape]:
    """My accounts, the oldest first: that one is used when a message names none."""
    with call.reading() as session:
        rows, after = page(session, _mine(call), Account, paged, newest_first=False)
        return Listing(items=[AccountShape.of(row) for row in rows], next=after)


@accounts.post("/accounts", response_model=AccountShape, status_code=201)
def post_account(call: Caller, new: NewAccount) -> Response:
    """Adds an account. Test it with ``POST /accounts/{id}/check``."""

    def work(session: Session) -> AccountShape:
        account = make_account(call.house, call.user, new)
        session.add(account)
        session.flush()
        return AccountShape.of(account)

    return once(call, work, status=201)


@accounts.get("/accounts/{id}", response_model=AccountShape)
def get_account(call: Caller, id: str) -> AccountShape:
    """One account."""
    with call.reading() as session:
        return AccountShape.of(find_account(session, call, id))


@accounts.patch("/accounts/{id}", response_model=AccountShape)
def patch_account(call: Caller, id: str, change: AccountChange) -> Response:
    """Changes what is given. Another host or login without its secret clears the stored one; another address must be
    confirmed again."""

    def work(session: Session) -> AccountShape:
        account = find_account(session, call, id)
        grant = account.oauth_grant_id
        change_account(call.house, account, change)
        session.add(account)
        if account.oauth_grant_id != grant:
            forget_unused(session, grant)
        return AccountShape.of(account)

    return once(call, work)


@accounts.delete("/accounts/{id}", status_code=204, response_class=Response)
def delete_account(call: Caller, id: str) -> Response:
    """Removes the account and forgets its secrets. What was sent from it stays."""

    def work(session: Session) -> None:
        account = find_account(session, call, id)
        _refuse_while_busy(session, account)
        for kind in ("smtp", "imap"):
            set_secret(call.house, account, kind, None)
        grant, account.oauth_grant_id = account.oauth_grant_id, None
        account.removed_at = now()
        session.add(account)
        forget_unused(session, grant)

    return once(call, work, status=204)


@accounts.post("/accounts/{id}/check", response_model=CheckShape)
def post_account_check(call: Caller, id: str) -> Response:
    """Signs in to the account’s servers and says how that went. May take a minute when a server does not answer."""
    if (first := replayed(call)) is not None:
        return first
    with call.reading() as session:
        account = find_account(session, call, id)
    assert account.id is not None
    wait = _tests.wait(call.user.public_id)
    if wait:
        text = f"That were many connection tests. Try again in {wait} seconds."
        raise Problem(429, text, headers={"Retry-After": str(wait)})
    result = check_account(call.house, account.id)

    def work(session: Session) -> CheckShape:
        checked = AccountShape.of(find_account(session, call, id))
        return CheckShape(
            **dict(checked),
            smtp_ok=result.smtp_ok,
            smtp_text=result.smtp_text,
            imap_ok=result.imap_ok,
            imap_text=result.imap_text,
        )

    return once(call, work)


class PublishShape(Shape):
    """A DNS record to publish."""

    name: str
    type: str
    value: str


class AdviceShape(Shape):
    """One finding about the domain: ``grade`` is good, warn, bad or unknown."""

    topic: str
    grade: str
    text: str
    publish: list[PublishShape]


class DomainShape(Shape):
    """What receivers see of the account’s domain."""

    domain: str
    looked_up_at: datetime
    advice: list[AdviceShape]


@accounts.get("/accounts/{id}/domain", response_model=DomainShape)
def get_account_domain(call: Caller, id: str) -> DomainShape:
    """SPF, DKIM and DMARC of the account’s domain, looked up now, with what to publish. Takes some seconds at the most."""
    with call.reading() as session:
        account = find_account(session, call, id)
    wait = _look_ups.wait(call.user.public_id)
    if wait:
        text = f"That were many look-ups. Try again in {wait} seconds."
        raise Problem(429, text, headers={"Retry-After": str(wait)})
    advice = _shapes(advice_for(call.house, account))
    return DomainShape(domain=domain_of(account.address), looked_up_at=now(), advice=advice)


class TestMailShape(Shape):
    """A test from the account to itself: its ``id``, whether it has arrived, and what it tells."""

    id: str
    arrived: bool
    advice: list[AdviceShape]


@accounts.post("/accounts/{id}/test-mail", response_model=TestMailShape, status_code=202)
def post_account_test_mail(call: Caller, id: str) -> Response:
    """Sends a test from the account to itself. Read what became of it with ``GET …/test-mail/{test}``; that needs IMAP."""
    if (first := replayed(call)) is not None:
        return first
    with call.reading() as session:
        account = find_account(session, call, id)
    if not account.imap_host:
        raise Problem(409, "The test is read over IMAP, which is not set up for this account.")
    _take(_tests, call)
    try:
        test_id = send_test(call.house, account)
    except (ConnectError, OSError, smtplib.SMTPException) as error:
        reason = error.sentence if isinstance(error, ConnectError) else type(error).__name__
        raise Problem(502, f"The test could not be sent: {reason}") from None
    return once(call, lambda _session: TestMailShape(id=test_id, arrived=False, advice=[]), status=202)


@accounts.get("/accounts/{id}/test-mail/{test}", response_model=TestMailShape)
def get_account_test_mail(call: Caller, id: str, test: str) -> TestMailShape:
    """What the mailbox holds of the test: are links as they were written, is there a pixel, what does the receiver say."""
    with call.reading() as session:
        account = find_account(session, call, id)
    if not TEST_ID.fullmatch(test):
        raise not_found("There is no such test.")
    _take(_look_ups, call)
    found = read_test(call.house, account, test)
    return TestMailShape(id=test, arrived=has_arrived(found), advice=_shapes(found))


def _take(budget: Budget, call: Call) -> None:
    wait = budget.wait(call.user.public_id)
    if wait:
        text = f"That were many tests. Try again in {wait} seconds."
        raise Problem(429, text, headers={"Retry-After": str(wait)})


def _shapes(found: Iterable[Advice]) -> list[AdviceShape]:
    return [
        AdviceShape(
            topic=one.topic,
            grade=one.grade,
            text=one.text,
            publish=[PublishShape(name=r.name, type=r.type, value=r.value) for r in one.publish],
        )
        for one in found
    ]


def _mine(call: Call) -> SelectOfScalar[Account]:
    return select(Account).where(Account.user_id == call.user.id, col(Account.removed_at).is_(None))


def find_account(session: Session, call: Call, id: str) -> Account:
    """The caller's own account; raises :class:`Problem` 404."""
    found = session.exec(_mine(call).where(Account.public_id == known(id))).first()
    if found is None:
        raise not_found("There is no such account.")
    return found


def _refuse_while_busy(session: Session, account: Account) -> None:
    waiting = (DeliveryStatus.QUEUED, DeliveryStatus.DEFERRED)
    of_it = select(func.count(func.distinct(Message.id))).join(Delivery).where(Message.account_id == account.id)
    count = session.exec(of_it.where(col(Delivery.status).in_(waiting))).one()
    if count:
        raise Problem(409, f"{count} messages wait to be sent from this account. Cancel them or let them leave first.")
