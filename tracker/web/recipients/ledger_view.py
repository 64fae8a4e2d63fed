"""The consent ledger of a person as a story: who said what, when, how we know, and what text they were shown."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import String, cast, literal, select, union_all
from sqlmodel import Session, col

from tracker.consent.rules import GRADES
from tracker.locale import N_, _
from tracker.models import ApiToken, ConsentEntry, NoticeText, User
from tracker.web.http.formats import full
from tracker.web.messages.activity_labels import consent_label

CHANNEL_LABELS: Mapping[str, str] = {
    "web_form": N_("a form on a website"),
    "consent_mail_page": N_("the page our mail linked to"),
    "reply_text": N_("a written reply"),
    "contract": N_("a contract"),
    "phone_note": N_("a talk, on the telephone or in person"),
    "import": N_("an import"),
    "preference_page": N_("their own choice page"),
    "list_unsubscribe": N_("the unsubscribe button"),
    "dsr": N_("a request under data protection law"),
    "objection_header": N_("an automatic objection"),
    "demo": N_("the demo"),
    "time": N_("the calendar"),
}
PURPOSE_LABELS: Mapping[str, str] = {"opens": N_("Opens"), "clicks": N_("Clicks"), "documents": N_("Documents")}
_PACKS: Mapping[str, str] = {
    "strict": N_("ask first"),
    "notice": N_("tell and let object"),
    "off": N_("nobody is tracked"),
}


@dataclass(frozen=True)
class EntryView:
    """One consent event as a sentence of the story, and its evidence as label and value."""

    entry: ConsentEntry
    purpose: str
    state: str
    channel: str
    by: str
    grade: str
    shown: str
    """The text the person saw, when it was kept."""
    proof: Sequence[tuple[str, str]]


def entry_views(session: Session, entries: Sequence[ConsentEntry]) -> list[EntryView]:
    """The events of a person, the newest first."""
    digests = {entry.notice_digest for entry in entries if entry.notice_digest}
    texts = _texts(session, {entry.actor for entry in entries}, digests)
    return [_entry_view(entry, texts) for entry in reversed(entries)]


def _texts(session: Session, actors: set[str], digests: set[str]) -> Mapping[tuple[str, str], str]:
    """The names behind ``user:<id>`` and ``api:<token>``, and the notices shown; by kind and number, in one statement."""
    users = [int(actor[5:]) for actor in actors if actor.startswith("user:") and actor[5:].isdigit()]
    tokens = [actor[4:] for actor in actors if actor.startswith("api:")]
    parts = [
        select(literal("user"), cast(col(User.id), String), col(User.name)).where(col(User.id).in_(users)),
        select(literal("api"), col(ApiToken.public_id), col(ApiToken.name)).where(col(ApiToken.public_id).in_(tokens)),
        select(literal("notice"), col(NoticeText.digest), col(NoticeText.text)).where(
            col(NoticeText.digest).in_(digests)
        ),
    ]
    asked = [part for part, wanted in zip(parts, (users, tokens, digests), strict=True) if wanted]
    rows = session.connection().execute(union_all(*asked)) if asked else ()
    return {(kind, number): text for kind, number, text in rows}


def _entry_view(entry: ConsentEntry, texts: Mapping[tuple[str, str], str]) -> EntryView:
    return EntryView(
        entry=entry,
        purpose=_(PURPOSE_LABELS.get(entry.purpose, entry.purpose)),
        state=consent_label(entry.state),
        channel=_(CHANNEL_LABELS[entry.channel]) if entry.channel in CHANNEL_LABELS else entry.channel,
        by=_actor(entry.actor, texts),
        grade=_(GRADES[entry.grade]) if entry.grade in GRADES else entry.grade,
        shown=texts.get(("notice", entry.notice_digest or ""), ""),
        proof=[(label, value) for label, value in _proof(entry) if value],
    )


def _actor(actor: str, texts: Mapping[tuple[str, str], str]) -> str:
    kind, _colon, number = actor.partition(":")
    if name := texts.get((kind, number)) if kind in ("user", "api") else None:
        return name if kind == "user" else _("the program “%(name)s”", name=name)
    known = {
        "subject": _("the person"),
        "user": _("somebody who has left"),
        "api": _("a program over the API"),
        "import": _("an import"),
        "system": "Inkling",
    }
    return known.get(kind, actor)


def _proof(entry: ConsentEntry) -> list[tuple[str, str]]:
    return [
        (_("Question"), entry.question),
        (_("Answered by"), entry.control),
        (_("Form or contract"), entry.reference),
        (_("Page"), entry.source_url),
        (_("Asked in"), entry.request_message_id),
        (_("Confirmed"), _moment(entry.confirmed_at)),
        (_("File (SHA-256)"), entry.attachment_digest),
        (_("Notice"), " ".join(part for part in (entry.notice, entry.notice_version, entry.notice_language) if part)),
        (_("Text shown (SHA-256)"), entry.notice_digest or ""),
        (_("Rules then"), _rules(entry)),
        (_("Good until"), _moment(entry.valid_until)),
        (_("Entry"), entry.digest),
    ]


def _rules(entry: ConsentEntry) -> str:
    pack = _(_PACKS[entry.pack]) if entry.pack in _PACKS else ""
    where = entry.jurisdiction or _("country unknown")
    return " · ".join(part for part in (pack, where, entry.pack_version) if part)


def _moment(at: datetime | None) -> str:
    return full(at) if at else ""
