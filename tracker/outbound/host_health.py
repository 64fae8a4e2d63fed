"""Is the tracking host well? A task asks, everybody else reads what it noted; nobody who sends ever waits for it.

Unwell means: the name does not resolve, the certificate is not valid, or the edge's ``/healthz`` does not answer 200. One bad
answer may be a restart; two in a row switch tracking off, one good answer switches it on again. Each is told once.
"""

import logging
import ssl
from datetime import datetime, timedelta

import httpx
from sqlmodel import Session, col, select

from tracker.models import HostHealth, User
from tracker.notifications.notify import notify
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.runtime.localized_text import LocalizedText
from tracker.runtime.processes import is_anybody_working

log = logging.getLogger(__name__)

ANSWER_SECONDS = 5.0
EVERY = timedelta(seconds=60)
AGAIN_AFTER = timedelta(seconds=10)
"""When an answer was bad: soon, so that a restart is told from an outage."""
BAD_IN_A_ROW = 2


class HostCheck:
    """The task: asks the tracking host now and then, and writes down only what has changed."""

    def __init__(self) -> None:
        self._next = now()

    def __call__(self, context: AppContext) -> int:
        """Asks when it is time. Returns 0: there is never more to do at once. Holds no transaction while it waits."""
        if now() < self._next <= now() + EVERY:  # later than that was said by a clock that ran ahead
            return 0
        problem, url = problem_of(context), context.settings.tracking_url
        with context.database.reading() as session:
            last = session.get(HostHealth, 1)
        is_news = last is None or last.url != url or bool(problem) or bool(last.failures)
        if is_news:
            with context.database.session_scope() as session:
                _note(session, url, problem)
        self._next = now() + (AGAIN_AFTER if problem else EVERY)
        return 0

    def due(self, _session: Session) -> datetime:
        return self._next


def problem_of(context: AppContext) -> str:
    """What is wrong with the tracking host now; empty when nothing is. Never raises."""
    url = context.settings.tracking_url
    try:
        answer = httpx.get(f"{url}/healthz", timeout=ANSWER_SECONDS, verify=context.web_tls_context())
    except httpx.HTTPError as error:
        return _why(url, error)
    except (OSError, ValueError) as error:  # a file of authorities that went, an address no client can use
        return LocalizedText("%(url)s does not answer (%(error)s).", url=url, error=type(error).__name__)
    if answer.status_code != 200:
        return LocalizedText(
            "%(url)s answers %(code)s; is something in front of it?", url=f"{url}/healthz", code=answer.status_code
        )
    return ""


def _why(url: str, error: Exception) -> str:
    """httpx wraps what really happened; the certificate deserves its own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return LocalizedText(
                "The certificate of %(url)s is not valid: %(problem)s.", url=url, problem=cause.verify_message
            )
        cause = cause.__cause__ or cause.__context__
    text = str(error)
    if "Name or service not known" in text or "No address associated" in text or "name resolution" in text:
        return LocalizedText("The name in %(url)s does not resolve.", url=url)
    return LocalizedText("%(url)s does not answer (%(error)s).", url=url, error=type(error).__name__)


def _note(session: Session, url: str, problem: str) -> None:
    row = session.get(HostHealth, 1, with_for_update=True) or HostHealth(id=1, url=url)
    if row.url != url:  # another host: what was known of the old one says nothing
        row.url, row.failures, row.healthy = url, 0, True
    if not problem:
        row.failures = 0
    elif not row.failures or row.checked_at < now() - AGAIN_AFTER / 2:  # two workers see one bad moment
        row.failures += 1
    row.problem, row.checked_at = problem, now()
    healthy = row.failures < BAD_IN_A_ROW and (row.healthy or not problem)
    if healthy != row.healthy:
        row.healthy, row.since = healthy, now()
        log.warning("the tracking host is %s", "well again" if healthy else f"unwell: {problem}")
        _tell(session, healthy, problem)
    session.add(row)


def _tell(session: Session, healthy: bool, problem: str) -> None:
    """One line for everybody who sends; the same line says when it is over."""
    well = LocalizedText("The tracking host answers again: new mail is tracked as agreed.")
    unwell = LocalizedText("New mail is sent untracked for now. %(problem)s", problem=problem)
    for user_id in session.exec(select(User.id).where(col(User.active).is_(True))):
        notify(session, user_id, "tracking-host", "problem", now(), detail=well if healthy else unwell)


def host_problem(session: Session) -> str:
    """Why nothing can be tracked at the moment; empty when all is well or nobody knows."""
    if (known := session.info.get("host_problem")) is not None:
        return known  # type: ignore[no-any-return]
    row = session.get(HostHealth, 1)
    if row is None or row.healthy or not is_anybody_working(session):  # then nobody would note that it is well again
        return ""
    return row.problem or LocalizedText("The tracking host does not answer.")
