"""``/me``: the person behind the token."""

from pydantic import Field
from sqlmodel import Session
from starlette.responses import Response

from tracker import users
from tracker.consent.preferences import operator_ceiling
from tracker.locale import LANGUAGES
from tracker.mail.fields import RequestModel, ResponseModel, SingleLine, Text
from tracker.models import User
from tracker.outbound.templates import change_signature
from tracker.runtime.localized_text import ActionError
from tracker.users import STATUSES, UNDO_SECONDS, ProfileChange
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.idempotency import idempotent

me = router("Me")


class TrackDefaults(ResponseModel):
    """What new messages start with."""

    opens: bool
    links: bool


class PersonResponse(ResponseModel):
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
    in_team_totals: bool
    signature: str

    @classmethod
    def of(cls, user: User) -> "PersonResponse":
        return cls.of_row(user, track=TrackDefaults(opens=user.track_opens, links=user.track_links))


class TrackChange(RequestModel):
    opens: bool = Field(default_factory=bool)
    links: bool = Field(default_factory=bool)


class PersonChange(RequestModel):
    """What to change; what is left out stays."""

    name: SingleLine = Field(default_factory=str)
    locale: str = Field(default_factory=str, json_schema_extra={"enum": list(LANGUAGES)})
    timezone: str = Field(default_factory=str)
    status: str = Field(default_factory=str, json_schema_extra={"enum": list(STATUSES)})
    track: TrackChange = Field(default_factory=TrackChange)
    undo_seconds: int = Field(default_factory=int, json_schema_extra={"enum": list(UNDO_SECONDS)})
    in_team_totals: bool = Field(
        default_factory=bool,
        description="One’s mail counts in the totals of the team, and one sees them, where the workspace allows it.",
    )
    signature: Text = Field(default_factory=str)

    def profile(self) -> ProfileChange:
        track = {f"track_{name}": value for name, value in self.track.model_dump(exclude_unset=True).items()}
        return ProfileChange(**self.model_dump(exclude_unset=True, exclude={"track", "signature"}), **track)


@me.get("/me", response_model=PersonResponse)
def get_me(call: Caller) -> PersonResponse:
    """Who I am, and my defaults."""
    return PersonResponse.of(call.user)


@me.patch("/me", response_model=PersonResponse)
def patch_me(call: Caller, change: PersonChange) -> Response:
    """Changes what is given."""

    def work(session: Session) -> PersonResponse:
        user = session.get_one(User, call.user.id)
        try:
            users.change_profile(session, user, change.profile(), operator_ceiling(call.context))
        except ActionError as error:
            error.fields = {field.replace("track_", "track."): sentence for field, sentence in error.fields.items()}
            raise
        if "signature" in change.model_fields_set:
            change_signature(session, user, change.signature)
        return PersonResponse.of(user)

    return idempotent(call, work)
