"""What a reply meant that asks not to be tracked: the question on the recipient's page, and its answer."""

from sqlmodel import Session, select
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tracker.consent.pending_opt_outs import decide, open_pauses
from tracker.locale import gettext as _
from tracker.models import Letter, Recipient, TrackingPause, User
from tracker.web.http.routes import action
from tracker.web.http.templating import house, redirect


def questions(session: Session, person: Recipient, user: User) -> list[tuple[TrackingPause, Letter | None]]:
    """What the user has to decide, with the letters it stands in as far as they are still there."""
    found = [
        (one, session.get(Letter, one.letter_id) if one.letter_id else None)
        for one in open_pauses(session, person, user)
    ]
    return [(pause, letter if letter is not None and letter.deleted_at is None else None) for pause, letter in found]


@action
def recipient_pause(request: Request, user: User, form: FormData) -> Response:
    """``decision``: ``withdrawn`` or ``continued``. Only whoever got the letter is asked."""
    decision = str(form.get("decision", ""))
    with house(request).database.session_scope() as session:
        found = select(TrackingPause, Recipient).join(Recipient).where(TrackingPause.user_id == user.id)
        row = session.exec(found.where(TrackingPause.public_id == request.path_params["pause"])).first()
        if row is None or row[1].public_id != request.path_params["who"]:
            raise HTTPException(404)
        here = f"/recipients/{row[1].public_id}"
        if decision not in ("withdrawn", "continued"):
            return redirect(f"{here}#pause", _("Choose whether this was a withdrawal."), kind="problem")
        done = decide(session, row[0], user, withdrawn=decision == "withdrawn")
    if not done:
        return redirect(here, _("This was decided already."))
    said = {
        "withdrawn": _("Recorded as a withdrawal, with the words as its proof."),
        "continued": _("Noted: it was no withdrawal."),
    }
    return redirect(here, said[decision])
