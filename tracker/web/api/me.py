"""``/me``: the person behind the token."""

from typing import Annotated, Literal
from zoneinfo import available_timezones

from pydantic import AfterValidator, Field
from sqlmodel import Session
from starlette.responses import Response

from tracker.consent import CeilingError, Purpose
from tracker.fields import Body, Name, Shape, Text
from tracker.models import User
from tracker.web.api.call import Call, Caller
from tracker.web.api.door import router
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import once

me = router("Me")


class TrackDefaults(Shape):
    """What new messages start with."""

    opens: bool
    links: bool


class Person(Shape):
    """Somebody who sells."""

    id: str
    email: str
    name: str
    role: str
    locale: str
    timezone: str
    status: str
    track: TrackDefaults
    undo_seconds: int
    signature: str

    @classmethod
    def of(cls, user: User) -> "Person":
        return cls(
            id=user.public_id,
            email=user.email,
            name=user.name,
            role=user.role,
            locale=user.locale,
            timezone=user.timezone,
            status=user.status,
            track=TrackDefaults(opens=user.track_opens, links=user.track_links),
            undo_seconds=user.undo_seconds,
            signature=user.signature,
        )


def _zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("There is no such time zone; write it as Europe/Paris (IANA name).")
    return name


class TrackChange(Body):
    opens: bool = Field(default_factory=bool)
    links: bool = Field(default_factory=bool)


class PersonChange(Body):
    """What to change; what is left out stays."""

    name: Name = Field(default_factory=str, min_length=1)
    locale: Literal["en", "ru"] = Field(default_factory=lambda: "en")
    timezone: Annotated[str, AfterValidator(_zone)] = Field(default_factory=str)
    status: Literal["free", "busy", "lunch", "break"] = Field(default_factory=lambda: "free")
    track: TrackChange = Field(default_factory=TrackChange)
    undo_seconds: int = Field(default_factory=int, ge=0, le=30)
    signature: Text = Field(default_factory=str, max_length=20_000)


@me.get("/me", response_model=Person)
def get_me(call: Caller) -> Person:
    """Who I am, and my defaults."""
    return Person.of(call.user)


@me.patch("/me", response_model=Person)
def patch_me(call: Caller, change: PersonChange) -> Response:
    """Changes what is given."""

    def work(session: Session) -> Person:
        user = session.get_one(User, call.user.id)
        _check_ceiling(call, change)
        _change(user, change)
        session.add(user)
        return Person.of(user)

    return once(call, work)


def _check_ceiling(call: Call, change: PersonChange) -> None:
    for field, purpose in (("opens", Purpose.OPENS), ("links", Purpose.CLICKS)):
        try:
            if getattr(change.track, field):
                call.house.ceiling.check_wish(purpose)
        except CeilingError as error:
            raise Problem(422, str(error), field=f"track.{field}", code="above_ceiling") from None


def _change(user: User, change: PersonChange) -> None:
    for name in change.model_fields_set - {"track"}:
        setattr(user, name, getattr(change, name))
    for name in change.track.model_fields_set if "track" in change.model_fields_set else ():
        setattr(user, f"track_{name}", getattr(change.track, name))
