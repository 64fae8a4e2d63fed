"""Periods, who answers for the workspace, what erasure does, and the papers: for administrators."""

from collections.abc import Mapping

from sqlmodel import Session, col, select
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.preferences import preference, set_preference
from tracker.locale import _, localize
from tracker.models import Erasure, User
from tracker.privacy.compliance_documents import compliance_archive, facts_of, self_check
from tracker.privacy.periods import DEFAULTS, LEAST, WORDS, PeriodError, checked, periods, set_periods
from tracker.privacy.retention import preview
from tracker.runtime.database import now
from tracker.web.http.forms import text
from tracker.web.http.routes import Routes
from tracker.web.http.templating import context_of, redirect, render

routes = Routes()
BASE_PATH = "/settings/privacy"


@routes.admin_page(BASE_PATH)
def privacy(request: Request, _user: User) -> Response:
    return _page(request)


@routes.admin_action(f"{BASE_PATH}/periods")
def save_periods(request: Request, user: User, form: FormData) -> Response:
    """With ``do=preview`` nothing is changed: the page says what would go."""
    typed = {name: text(form, name, 10) for name in DEFAULTS}
    try:
        days = checked(typed)
    except PeriodError as error:
        return _page(request, typed=typed, wrong={error.field: localize(error.sentence)}, status=422)
    if text(form, "do") == "preview":
        return _page(request, typed=typed, would_go=days)
    with context_of(request).database.session_scope() as session:
        set_periods(session, days, user.id)
    return redirect(BASE_PATH, _("Saved. Older data is deleted within ten minutes."))


@routes.admin_action(f"{BASE_PATH}/controller")
def save_controller(request: Request, user: User, form: FormData) -> Response:
    typed = {name: text(form, name, 300) for name in ("name", "address", "contact")}
    with context_of(request).database.session_scope() as session:
        set_preference(session, "controller", typed, user.id)
        set_preference(session, "erasure_text", "keep" if text(form, "erasure_text") == "keep" else "delete", user.id)
    return redirect(BASE_PATH, _("Saved."))


@routes.admin_page(f"{BASE_PATH}/papers")
def download(request: Request, _user: User) -> Response:
    with context_of(request).database.reading() as session:
        content = compliance_archive(session, context_of(request))
    headers = {"Content-Disposition": f'attachment; filename="data-protection-{now():%Y-%m-%d}.zip"'}
    return Response(content, media_type="application/zip", headers=headers)


def _page(
    request: Request,
    *,
    typed: Mapping[str, str] | None = None,
    wrong: Mapping[str, str] | None = None,
    would_go: Mapping[str, int] | None = None,
    status: int = 200,
) -> Response:
    app_context = context_of(request)
    with app_context.database.reading() as session:
        context = {
            "periods": {name: (typed or {}).get(name, str(days)) for name, days in periods(session).items()},
            "words": WORDS,
            "longest": DEFAULTS,
            "least": LEAST,
            "wrong": wrong or {},
            "going": preview(session, would_go, now()) if would_go else None,
            "facts": facts_of(session, app_context),
            "controller": preference(session, "controller") or {},
            "check": self_check(session, now().date()),
            "receipts": _receipts(session),
        }
    return render(request, "workspace/settings_privacy.html", context, status)


def _receipts(session: Session) -> list[Erasure]:
    return list(session.exec(select(Erasure).order_by(col(Erasure.id).desc()).limit(20)))
