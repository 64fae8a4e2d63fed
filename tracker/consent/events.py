"""Recording what a person said about being measured, as somebody who sells or a program reports it."""

from typing import Annotated, Literal

from pydantic import Field
from sqlmodel import Session

from tracker.consent.ledger import record_consent
from tracker.consent.rules import ConsentState, Proof, Purpose
from tracker.mail.fields import Moment, RequestModel, SingleLine, Text
from tracker.models import ConsentEntry, Recipient


class NewConsent(RequestModel):
    """What a person said about being measured, with the evidence. ``at``: when (now, if left out).

    ``notice``, ``notice_version``, ``notice_language``: which text they had seen; ``shown``: that text (kept once, the entry
    holds its SHA-256) or ``notice_digest`` alone. ``source_url`` is kept without query. ``double_opt_in`` needs ``confirmed_at``.
    """

    purpose: Literal["opens", "clicks", "documents"]
    state: Literal["asked", "granted", "refused", "withdrawn", "objected", "lapsed", "blocked"]
    channel: SingleLine
    note: Annotated[Text, Field(max_length=4000)] = ""
    at: Moment | None = None
    notice: Annotated[SingleLine, Field(max_length=64)] | None = None
    notice_version: Annotated[SingleLine, Field(max_length=32)] = ""
    notice_language: Annotated[SingleLine, Field(max_length=16)] = ""
    notice_digest: Annotated[SingleLine, Field(max_length=64)] = ""
    shown: Annotated[Text, Field(max_length=20_000)] = ""
    question: Annotated[Text, Field(max_length=2000)] = ""
    control: Annotated[SingleLine, Field(max_length=200)] = ""
    reference: Annotated[SingleLine, Field(max_length=200)] = ""
    source_url: Annotated[SingleLine, Field(max_length=2000)] = ""
    request_message_id: Annotated[SingleLine, Field(max_length=255)] = ""
    attachment_digest: Annotated[SingleLine, Field(max_length=64)] = ""
    double_opt_in: bool = False
    confirmed_at: Moment | None = None


def record(session: Session, recipient: Recipient, new: NewConsent, actor: str) -> ConsentEntry:
    """Appends it to the recipient's chain. ``actor`` is ``user:<id>`` or ``api:<id>``. Raises :class:`ActionError`."""
    evidence = new.model_dump(exclude={"purpose", "state", "channel", "at"}) | {"notice": new.notice or ""}
    return record_consent(
        session,
        recipient,
        Purpose(new.purpose),
        ConsentState(new.state),
        actor=actor,
        channel=new.channel,
        proof=Proof(**evidence),
        at=new.at,
    )
