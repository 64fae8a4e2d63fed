"""Office hours, for administrators: what the report counts, and when somebody counts as signed in. Page and ``/working-time``."""

from collections.abc import Mapping
from typing import Any

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.crm.working_time import DAYS, WorkingTime, change_working_time, working_time
from tracker.locale import N_, _
from tracker.mail.fields import ResponseModel
from tracker.models import Role, User
from tracker.web.api.authenticated import router
from tracker.web.api.call import Caller
from tracker.web.api.errors import Problem
from tracker.web.api.idempotency import idempotent
from tracker.web.http.actions import changing
from tracker.web.http.forms import FormErrors, errors_of, is_checked, parse, text, zones
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/office-hours"
DAY_LABELS: Mapping[str, str] = dict(
    zip(
        DAYS,
        (N_("Monday"), N_("Tuesday"), N_("Wednesday"), N_("Thursday"), N_("Friday"), N_("Saturday"), N_("Sunday")),
        strict=True,
    )
)
_USUAL = dict.fromkeys(DAYS[:5], "9:00-18:00")


@routes.admin_page(BASE_PATH)
def hours(request: Request, user: User) -> Response:
    with context_of(request).database.reading() as session:
        time = working_time(session)
    typed = {**time.model_dump(), "holidays": "\n".join(time.holidays), "timezone": time.timezone or user.timezone}
    return _page(request, typed | {"counts": time.days is not None, "days": time.days or _USUAL}, {})


@routes.admin_action(BASE_PATH)
def save_hours(request: Request, user: User, form: FormData) -> Response:
    typed: dict[str, Any] = {
        "counts": is_checked(form, "counts"),
        "days": {day: text(form, f"days_{day}", 20) for day in DAYS},
        "holidays": text(form, "holidays", 8000),
        "timezone": text(form, "timezone"),
        "presence_minutes": text(form, "presence_minutes"),
    }
    typed_hours = {"days": typed["days"] if typed["counts"] else None, "holidays": typed["holidays"].split()}
    with changing(request, lambda error: _page(request, typed, errors_of(error), 422)) as session:
        change = parse(WorkingTime, {**typed, **typed_hours})
        change_working_time(session, change, user)
    return redirect(BASE_PATH, _("Saved."))


def _page(request: Request, typed: Mapping[str, Any], wrong: FormErrors, status: int = 200) -> Response:
    labels = [(day, _(label)) for day, label in DAY_LABELS.items()]
    return render(
        request, "crm/office_hours.html", {"typed": typed, "labels": labels, "zones": zones(), "wrong": wrong}, status
    )


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
