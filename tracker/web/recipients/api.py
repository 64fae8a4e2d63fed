"""``/recipients``: the people we write to, and what each agreed to. Shared by the workspace, which is the controller."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from fastapi import Query
from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from tracker.consent.bulk_import import import_consents
from tracker.consent.events import NewConsent, record
from tracker.consent.ledger import broken_at, consent_of, jurisdiction, ledger
from tracker.consent.rules import ConsentState, Purpose
from tracker.mail.fields import RequestModel, ResponseModel
from tracker.models import Recipient, Role
from tracker.recipients import RecipientChange, change, find_or_make, look_up, matching, printable
from tracker.runtime.csv_file import UnreadableFile
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import cached_response, idempotent
from tracker.web.api.paging import Listing, Paged, page

recipients = router("Recipients")


class Consent(ResponseModel):
    """The present state per purpose."""

    opens: str
    clicks: str
    documents: str


class ConsentSaid(RequestModel):
    opens: str
    clicks: str
    documents: str = "unknown"


class RecipientResponse(ResponseModel):
    """``jurisdiction`` as declared, ``country`` as the customer records have it; ``rules_of``: whose rules hold, empty: unknown.
    ``paused_at``: since when nothing is measured because they asked for that in a reply, until somebody decides what it meant."""

    id: str
    address: str
    name: str
    jurisdiction: str | None
    country: str | None
    rules_of: str
    never_track: bool
    paused_at: datetime | None
    consent: Consent
    created_at: datetime


class RecipientBody(RecipientChange):
    """What is left out stays. ``consent`` may be given back as it was read, but is changed by its own call, with evidence."""

    consent: ConsentSaid | None = None


class RecipientQuery(Paged):
    q: Annotated[str, Field(max_length=200, description="Part of an address or a name.")] = ""


class ConsentResponse(ResponseModel):
    """One entry of the ledger. ``digest`` covers the entry and ``previous_digest``, so that nothing can be taken out unseen."""

    id: str
    number: int
    purpose: str
    state: str
    at: datetime
    recorded_at: datetime
    actor: str
    channel: str
    grade: str
    note: str
    notice: str | None
    notice_version: str | None
    notice_language: str | None
    notice_digest: str | None
    question: str
    control: str
    reference: str
    source_url: str
    request_message_id: str
    attachment_digest: str
    double_opt_in: bool
    confirmed_at: datetime | None
    jurisdiction: str | None
    pack: str
    pack_version: str
    valid_until: datetime | None
    erased_at: datetime | None
    proof_digest: str
    previous_digest: str
    digest: str


class Chain(Listing[ConsentResponse]):
    """The whole chain, oldest first; ``broken_at`` is the first entry that was tampered with."""

    broken_at: int | None


@recipients.get("/recipients", response_model=Listing[RecipientResponse])
def list_recipients(call: Caller, query: Annotated[RecipientQuery, Query()]) -> Listing[RecipientResponse]:
    """Everybody this workspace writes to, the newest first."""
    with call.reading() as session:
        rows, after = page(session, matching(session, query.q), Recipient, query)
        states = consent_of(session, [row.id for row in rows])
        return Listing(items=[_shape(row, states[row.id]) for row in rows], next=after)


# The calls on consent stand first: an address may hold a slash, so the path of the plain one takes everything.
@recipients.get("/recipients/{address:path}/consent", response_model=Chain)
def get_consent(call: Caller, address: str) -> Chain:
    """The whole ledger of one person, oldest entry first."""
    with call.reading() as session:
        recipient = look_up(session, address)
        items = [ConsentResponse.of_row(entry) for entry in ledger(session, recipient)]
        return Chain(items=items, broken_at=broken_at(session, recipient))


@recipients.post("/recipients/{address:path}/consent", response_model=ConsentResponse, status_code=201)
def post_consent(call: Caller, address: str, new: NewConsent) -> Response:
    """Records what a person said, with its evidence. Makes the recipient when there is none."""

    def work(session: Session) -> ConsentResponse:
        recipient = find_or_make(session, printable(address))
        entry = record(session, recipient, new, call.actor)
        return ConsentResponse.of_row(entry)

    return idempotent(call, work, status=201)


@recipients.get("/recipients/{address:path}", response_model=RecipientResponse)
def get_recipient(call: Caller, address: str) -> RecipientResponse:
    """A person's name, jurisdiction and consent, by any spelling of the address."""
    with call.reading() as session:
        return _shape_of(session, look_up(session, address))


@recipients.put("/recipients/{address:path}", response_model=RecipientResponse)
def put_recipient(call: Caller, address: str, body: RecipientBody) -> Response:
    """Makes or changes a recipient."""

    def work(session: Session) -> RecipientResponse:
        row = find_or_make(session, printable(address))
        session.flush()
        change(session, row, body)
        shape = _shape_of(session, row)
        said = body.consent.model_dump(exclude_unset=True) if body.consent else {}
        if said.items() - shape.consent.model_dump().items():
            text = f"“consent” is not changed here: record it, with its evidence, by POST /recipients/{row.address}/consent."
            raise Problem(422, text, field="consent", code="read_only")
        return shape

    return idempotent(call, work)


def _shape_of(session: Session, row: Recipient) -> RecipientResponse:
    return _shape(row, consent_of(session, [row.id])[row.id])


def _shape(row: Recipient, states: Mapping[Purpose, ConsentState]) -> RecipientResponse:
    consent = Consent(**{purpose.value: state.value for purpose, state in states.items()})
    return RecipientResponse.of_row(row, consent=consent, rules_of=jurisdiction(row).code)


class ConsentFile(RequestModel):
    """``csv``: the file as text, with a heading. Needed are the columns address, purpose and state."""

    csv: Annotated[str, Field(max_length=5_000_000)]


class ImportedRow(ResponseModel):
    """``recorded``: entries made, 0 where the ledger says so already; ``problem`` and ``field`` where the row was refused."""

    line: int
    address: str
    recorded: int
    field: str
    problem: str


class Imported(ResponseModel):
    recorded: int
    refused: int
    rows: list[ImportedRow]


@recipients.post("/consents/imports", response_model=Imported)
def post_import(call: Caller, body: ConsentFile) -> Response:
    """Records what can be recorded and says of every row what became of it. The same file may be given again."""
    if call.user.role != Role.ADMIN:
        raise Problem(403, "Only an administrator imports consents.")
    if (first := cached_response(call)) is not None:
        return first
    try:
        results = list(import_consents(call.context, body.csv.encode("utf-8", "replace"), by=call.actor))
    except UnreadableFile as error:
        raise Problem(422, str(error), field="csv", code="unreadable") from None
    rows = [
        ImportedRow(line=r.line, address=r.address, recorded=r.recorded, field=r.field, problem=str(r.problem))
        for r in results
    ]
    answer = Imported(recorded=sum(r.recorded for r in rows), refused=sum(1 for r in rows if r.problem), rows=rows)
    return idempotent(call, lambda _session: answer)
