"""The texts by which people are asked, with their version: what was shown is kept with every answer."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlmodel import Session, col, select

from tracker.consent.preferences import preference, set_preference
from tracker.locale import _, use_locale
from tracker.models import Role, User
from tracker.runtime.context import AppContext

NOTICE = "measuring"
VERSION = "2026-11"
CONTROL = "two unticked boxes and a button"


@dataclass(frozen=True)
class Controller:
    """Who answers for the workspace, as the administrator wrote it."""

    name: str
    address: str = ""
    contact: str = ""


@dataclass(frozen=True)
class ConsentNotice:
    """One text as it is shown: a heading, paragraphs, the question, and what each box says."""

    language: str
    paragraphs: tuple[str, ...]
    question: str
    boxes: Mapping[str, str]

    @property
    def text(self) -> str:
        """All of it, as evidence."""
        return "\n\n".join([*self.paragraphs, self.question, *(f"[ ] {box}" for box in self.boxes.values())])


_FIRST_ADMINISTRATOR = select(User.name).where(User.role == Role.ADMIN).order_by(col(User.id)).limit(1)


def name_company(session: Session, name: str, user_id: int | None) -> None:
    """From now on this company answers for the workspace; what else is known of it stays."""
    set_preference(session, "controller", {**(preference(session, "controller") or {}), "name": name}, user_id)


def controller(session: Session, context: AppContext) -> Controller:
    """Who answers for the workspace: the company; its first administrator until somebody has named that. Never a host or an
    address, which say nothing to whoever reads them."""
    stored = preference(session, "controller") or {}
    name = stored.get("name") or session.exec(_FIRST_ADMINISTRATOR).first() or "Inkling"
    return Controller(name, stored.get("address", ""), stored.get("contact", ""))


def notice(session: Session, context: AppContext, language: str) -> ConsentNotice:
    """What somebody reads before saying yes or no, filled from the live settings."""
    who = controller(session, context)
    days = (preference(session, "retention") or {}).get("hits_days", 90)
    facts = {"who": who.name, "days": days, "evidence": context.settings.evidence_days}
    with use_locale(language):
        return ConsentNotice(
            language=language,
            paragraphs=(
                _(
                    "%(who)s would like to see whether the messages that our people write to you are opened, and "
                    "which of their links are followed."
                )
                % facts,
                _(
                    "Opens: a message then holds a picture of one pixel, which your mail program loads from our "
                    "server. Clicks: links then lead through our server to where they go."
                ),
                _(
                    "We note the time, the kind of mail program, and whether it was probably a person or a machine, "
                    "for %(days)s days; then only the day. The network address is kept encrypted for %(evidence)s "
                    "days, to tell people from machines, and nowhere else."
                )
                % facts,
                _(
                    "Only the person who wrote to you sees it. Nothing is passed on, and nothing is decided by a program."
                ),
                _(
                    "Saying no costs nothing: you get the same messages. You can say yes now and no later, at any "
                    "time, by the link under each such message; that works at once, for messages you already have as"
                    " well."
                ),
            ),
            question=_("May we see it?"),
            boxes={
                "opens": _("Yes, whether I open messages"),
                "clicks": _("Yes, which links I follow"),
            },
        )
