"""``/working-time``: the office hours in which the reports count."""

from starlette.responses import Response

from tracker.crm.working_time import WorkingTime, change_working_time, working_time
from tracker.mail.fields import ResponseModel
from tracker.models import Role
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import idempotent

working_hours = router("Reports")


class WorkingTimeResponse(ResponseModel):
    """Hours such as ``09:00-18:00`` by day; null where every hour counts."""

    days: dict[str, str] | None
    holidays: list[str]
    timezone: str
    presence_minutes: int


@working_hours.get("/working-time", response_model=WorkingTimeResponse)
def get_working_time(call: Caller) -> WorkingTimeResponse:
    """The office hours in which the report counts."""
    with call.reading() as session:
        return WorkingTimeResponse(**working_time(session).model_dump())


@working_hours.patch("/working-time", response_model=WorkingTimeResponse)
def patch_working_time(call: Caller, change: WorkingTime) -> Response:
    """Changes what is given, for administrators."""
    if call.user.role != Role.ADMIN:
        raise Problem(403, "Only an administrator sets the office hours.")
    return idempotent(
        call, lambda session: WorkingTimeResponse(**change_working_time(session, change, call.user).model_dump())
    )
