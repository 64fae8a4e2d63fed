"""``/letters`` and ``/enquiries``: what came in."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field
from sqlalchemy import select
from sqlmodel import Session, col
from starlette.responses import Response

from tracker.crm.access import find_enquiry, find_letter
from tracker.crm.enquiries import (
    LISTS,
    assign_enquiry,
    complete_enquiry,
    release_enquiry,
    reopen_enquiry,
    snooze_enquiry,
    wake_enquiry,
)
from tracker.crm.hand_binding import bind_by_hand, unbind
from tracker.crm.records import Id, named_record
from tracker.inbound.external import ExternalLetter, accept_external
from tracker.mail.fields import Moment, RequestModel, ResponseModel
from tracker.models import (
    Customer,
    EnquiryStatus,
    Letter,
    LetterAttachment,
    LetterBody,
    Mailbox,
    Order,
    User,
)
from tracker.models.rows import public_ids
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller, RequestContext
from tracker.web.api.idempotency import idempotent
from tracker.web.api.paging import Listing, Paged
from tracker.web.http.list_filter import one_of
from tracker.web.inbox.filter import LetterFilter
from tracker.web.inbox.rows import LetterRow, read_letters, rows_of
from tracker.web.sites.reattribution import AttributionResponse, attributions

letters = router("Letters")


class BoundResponse(ResponseModel):
    """What a letter was bound to, and by which rule: an order, a customer, or else the message of ours that it answers."""

    kind: str
    id: str
    rule: str


class LetterLine(ResponseModel):
    """One incoming message. ``counted`` letters are enquiries; ``repeat_of`` is the enquiry that a repeat is folded under."""

    id: str
    mailbox: str
    received_at: datetime
    sent_at: datetime | None
    sender: str
    sender_name: str
    recipient: str
    subject: str
    snippet: str
    category: str
    category_reason: str
    counted: bool
    repeat_of: str | None
    withdrawn_at: datetime | None
    bound: BoundResponse | None
    binding_rule: str | None
    """By which rule it was bound, or why it was not."""
    binding_flags: list[str]
    in_reply_to_message: str | None
    has_attachments: bool
    read_at: datetime | None


class EnquiryLine(LetterLine):
    """A letter that counts, with how many repeats are folded under it, and how the work on it stands. ``manager`` and
    ``answered_by`` are ids of people."""

    repeats: int
    attribution: AttributionResponse | None
    manager: str | None
    waiting_since: datetime | None
    answered_at: datetime | None
    answered_by: str | None
    snoozed_until: datetime | None
    done_at: datetime | None


class AttachmentResponse(ResponseModel):
    """``written_name`` is the name as the letter has it; ``filename`` is safe."""

    id: str
    filename: str
    written_name: str
    content_type: str
    size: int
    inline: bool


class LetterResponse(LetterLine):
    """A letter with its text. ``html`` is as it came: sanitise it before you show it."""

    message_id: str
    reply_to: str
    to: list[list[str]]
    cc: list[list[str]]
    size: int
    text: str
    html: str | None
    headers: str
    attachments: list[AttachmentResponse]
    defects: list[str]
    flags: list[str]
    unparsed: bool
    too_large: bool
    attribution: AttributionResponse | None


class EnquiryQuery(Paged):
    """Which enquiries."""

    mailbox: Annotated[str, Field(description="The id or the address of a mailbox.")] = ""
    sender: Annotated[str, Field(description="An address, or a domain as @example.com.")] = ""
    q: Annotated[str, Field(description="Beginnings of words of the subject, the text, names and addresses.")] = ""
    since: Annotated[str, Field(description="A day in one’s own zone, or a time in RFC 3339.")] = ""
    until: Annotated[str, Field(description="The same; a day counts to its end.")] = ""
    list: Annotated[str, Field(description=f"{', '.join(LISTS)}: a list of the day’s work.")] = ""

    def filter(self) -> LetterFilter:
        """Raises :class:`tracker.runtime.localized_text.ActionError`."""
        return LetterFilter.from_query(self._single())

    def _single(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in EnquiryQuery.model_fields if name not in ("limit", "cursor")}


class LetterQuery(EnquiryQuery):
    """Which letters; all of them unless something is asked for."""

    category: Annotated[
        list[str],
        Field(
            description="human, bounce, mdn, auto_reply, auto_generated, bulk, own_notification, own_outgoing, "
            "complaint, reaction, report. "
            "May be repeated or divided by commas."
        ),
    ] = []
    counted: Annotated[str, Field(description="true: enquiries only; false: only what is none.")] = ""

    def filter(self) -> LetterFilter:
        shows = {"": "letters", "true": "enquiries", "false": "uncounted"}
        show = shows[one_of("counted", self.counted, shows)]
        return LetterFilter.from_query({**self._single(), "category": ",".join(self.category), "show": show})


@letters.get("/letters", response_model=Listing[LetterLine])
def list_letters(call: Caller, query: Annotated[LetterQuery, Query()]) -> Listing[LetterLine]:
    """My letters, newest first."""
    with call.reading() as session:
        rows, after = _page(session, call, query.filter(), query)
        return Listing(items=_lines(session, rows), next=after)


@letters.post("/letters/external", response_model=LetterLine, status_code=201)
def post_external_letter(call: Caller, new: ExternalLetter) -> Response:
    """Takes a letter in from elsewhere; it is counted, bound and attributed like any other."""

    def work(session: Session) -> LetterLine:
        letter = accept_external(session, call.context, call.user, new)
        return _lines(session, rows_of(session, call.user, [letter]))[0]

    return idempotent(call, work, status=201)


@letters.get("/letters/{id}", response_model=LetterResponse)
def get_letter(call: Caller, id: str) -> LetterResponse:
    """A letter with its text and the names of its attachments."""
    with call.reading() as session:
        letter = find_letter(session, call.user, id)
        (facts,) = _facts(session, rows_of(session, call.user, [letter]))
        body = session.get(LetterBody, letter.id)
        return LetterResponse.of_row(
            letter,
            **facts,
            text=body.text if body else "",
            html=body.html if body else None,
            headers=body.headers if body else "",
            attachments=_attachments(session, letter),
            attribution=attributions(session, [letter.id]).get(letter.id),
        )


@letters.get("/enquiries", response_model=Listing[EnquiryLine])
def list_enquiries(call: Caller, query: Annotated[EnquiryQuery, Query()]) -> Listing[EnquiryLine]:
    """My enquiries: letters that count and were not withdrawn, newest first."""
    with call.reading() as session:
        rows, after = _page(session, call, query.filter(), query)
        return Listing(items=_enquiry_lines(session, rows), next=after)


class BindingRequest(RequestModel):
    """An order or a customer, by its id."""

    order: Id | None = None
    customer: Id | None = None


class AssignmentRequest(RequestModel):
    """Whom to give the enquiry to. Whoever moves it names who has it now in ``from``; else only what is nobody's can be taken."""

    manager: Id
    before: Id | None = Field(default=None, alias="from")


class SnoozeRequest(RequestModel):
    """Until when it is out of the lists."""

    until: Moment


@letters.post("/letters/{id}/binding", response_model=LetterLine)
def post_binding(call: Caller, id: str, request: BindingRequest) -> Response:
    """Binds a letter by hand, to an order or a customer."""

    def work(session: Session) -> LetterLine:
        letter = find_letter(session, call.user, id)
        order = named_record(session, Order, request.order, "order")
        customer = named_record(session, Customer, request.customer, "customer")
        bind_by_hand(session, letter, call.user, order=order, customer=customer)
        return _lines(session, rows_of(session, call.user, [letter]))[0]

    return idempotent(call, work)


@letters.delete("/letters/{id}/binding", status_code=204, response_class=Response)
def delete_binding(call: Caller, id: str) -> Response:
    """Takes a letter off its order or customer."""
    return idempotent(call, lambda session: unbind(session, find_letter(session, call.user, id), call.user), status=204)


@letters.post("/enquiries/{id}/assignment", response_model=EnquiryLine)
def post_assignment(call: Caller, id: str, request: AssignmentRequest) -> Response:
    """Gives an enquiry to somebody. 409 when somebody else has taken it meanwhile."""

    def work(session: Session, letter: Letter, status: EnquiryStatus) -> None:
        manager = named_record(session, User, request.manager, "manager")
        assert manager is not None
        before = named_record(session, User, request.before, "from")
        assign_enquiry(session, letter, status, manager, call.user, before)

    return _on_enquiry(call, id, work)


@letters.delete("/enquiries/{id}/assignment", response_model=EnquiryLine)
def delete_assignment(call: Caller, id: str) -> Response:
    """Makes an enquiry nobody’s again."""
    return _on_enquiry(call, id, lambda session, letter, status: release_enquiry(session, letter, status, call.user))


@letters.post("/enquiries/{id}/snooze", response_model=EnquiryLine)
def post_snooze(call: Caller, id: str, request: SnoozeRequest) -> Response:
    """Takes an enquiry out of the lists until then, or until its sender writes again."""
    return _on_enquiry(
        call, id, lambda session, letter, status: snooze_enquiry(session, letter, status, request.until, call.user)
    )


@letters.delete("/enquiries/{id}/snooze", response_model=EnquiryLine)
def delete_snooze(call: Caller, id: str) -> Response:
    """Brings an enquiry back now."""
    return _on_enquiry(call, id, lambda session, letter, status: wake_enquiry(session, letter, status, call.user))


@letters.post("/enquiries/{id}/completion", response_model=EnquiryLine)
def post_completion(call: Caller, id: str) -> Response:
    """Nothing is left to do about an enquiry."""
    return _on_enquiry(call, id, lambda session, letter, status: complete_enquiry(session, letter, status, call.user))


@letters.delete("/enquiries/{id}/completion", response_model=EnquiryLine)
def delete_completion(call: Caller, id: str) -> Response:
    """There is something to do after all."""
    return _on_enquiry(call, id, lambda session, letter, status: reopen_enquiry(session, letter, status, call.user))


def _on_enquiry(call: RequestContext, id: str, work: Callable[[Session, Letter, EnquiryStatus], object]) -> Response:
    def done(session: Session) -> EnquiryLine:
        letter, status = find_enquiry(session, call.user, id)
        work(session, letter, status)
        session.flush()
        return _enquiry_lines(session, rows_of(session, call.user, [letter]))[0]

    return idempotent(call, done)


def _enquiry_lines(session: Session, rows: Sequence[LetterRow]) -> list[EnquiryLine]:
    sources = attributions(session, [row.letter.id for row in rows])
    return [
        EnquiryLine.of_row(
            row.letter,
            **facts,
            repeats=row.repeated,
            attribution=sources.get(row.letter.id),
            manager=row.manager.public_id if row.manager else None,
            answered_by=row.answered_by.public_id if row.answered_by else None,
            **(row.status.model_dump(include=_STATUS) if row.status else dict.fromkeys(_STATUS)),
        )
        for facts, row in zip(_facts(session, rows), rows, strict=True)
    ]


_STATUS = {"waiting_since", "answered_at", "snoozed_until", "done_at"}


def _page(
    session: Session, call: RequestContext, chosen: LetterFilter, paged: Paged
) -> tuple[Sequence[LetterRow], str | None]:
    listing = read_letters(session, call.user, chosen, paged.after, paged.limit)
    return listing.rows, str(listing.next) if listing.next else None


def _lines(session: Session, rows: Sequence[LetterRow]) -> list[LetterLine]:
    return [LetterLine.of_row(row.letter, **facts) for row, facts in zip(rows, _facts(session, rows), strict=True)]


def _facts(session: Session, rows: Sequence[LetterRow]) -> list[dict[str, Any]]:
    """What an answer says of each letter that does not stand in its row."""
    boxes = public_ids(session, Mailbox, (row.letter.mailbox_id for row in rows))
    enquiries = public_ids(session, Letter, (row.letter.repeat_of_id for row in rows))
    return [
        {
            "mailbox": boxes.get(row.letter.mailbox_id),
            "repeat_of": enquiries.get(row.letter.repeat_of_id or 0),
            "in_reply_to_message": row.answers.public_id if row.answers else None,
            "bound": _bound(row),
            "binding_flags": row.binding.flags if row.binding else [],
            "binding_rule": row.binding.rule if row.binding else None,
            "counted": row.letter.counted and row.letter.withdrawn_at is None,
        }
        for row in rows
    ]


def _bound(row: LetterRow) -> BoundResponse | None:
    if row.binding is not None and (row.order is not None or row.customer is not None):
        kind, record = ("order", row.order) if row.order is not None else ("customer", row.customer)
        assert record is not None
        return BoundResponse(kind=kind, id=record.public_id, rule=row.binding.rule)
    if row.answers is None:
        return None
    return BoundResponse(kind="message", id=row.answers.public_id, rule=row.letter.reply_rule)


def _attachments(session: Session, letter: Letter) -> list[AttachmentResponse]:
    query = select(LetterAttachment).where(col(LetterAttachment.letter_id) == letter.id)
    return [AttachmentResponse.of_row(file) for file in session.scalars(query.order_by(col(LetterAttachment.position)))]
