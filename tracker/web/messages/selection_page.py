"""What is done with several messages of the list at once."""

from collections.abc import Callable, Mapping

from sqlmodel import Session
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from tracker.models import Message, MessageState, User
from tracker.models.ownership import owned
from tracker.outbound.messages import complete, mute, remind, reopen, stop_tracking
from tracker.runtime.localized_text import ActionError, LocalizedText
from tracker.web.compose.drafts import discard
from tracker.web.http.routes import Routes
from tracker.web.http.selection import RowAction, act_on_selection

routes = Routes()
REMINDER_DAYS = 3


def _of_sent(action: Callable[[Session, Message], None]) -> Callable[[Session, Message, User], None]:
    def act(session: Session, message: Message, _user: User) -> None:
        if message.state == MessageState.DRAFT:
            raise ActionError("conflict", LocalizedText("A draft can only be finished or deleted."))
        action(session, message)

    return act


def _discard(session: Session, message: Message, _user: User) -> None:
    if message.state != MessageState.DRAFT:
        raise ActionError("conflict", LocalizedText("Only drafts can be deleted."))
    discard(session, message)


ACTIONS: Mapping[str, RowAction[Message]] = {
    "done": RowAction(_of_sent(complete), "reopen"),
    "reopen": RowAction(_of_sent(reopen)),
    "remind": RowAction(_of_sent(lambda session, message: remind(session, message, REMINDER_DAYS)), "forget"),
    "forget": RowAction(_of_sent(lambda session, message: remind(session, message, 0))),
    "mute": RowAction(_of_sent(lambda session, message: mute(session, message, True)), "unmute"),
    "unmute": RowAction(_of_sent(lambda session, message: mute(session, message, False)), "mute"),
    "stop": RowAction(_of_sent(stop_tracking)),
    "discard": RowAction(_discard),
}


@routes.action("/mail/selection")
def selection(request: Request, user: User, form: FormData) -> Response:
    return act_on_selection(
        request, user, form, ACTIONS, lambda session, user, id_: owned(session, Message, user, id_), "/mail"
    )
