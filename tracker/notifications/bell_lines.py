"""Bell lines as people read them: who did what with which message, how often, when, through what."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape
from sqlmodel import Session

from tracker.locale import N_, _, localize, ngettext
from tracker.mail.maker_labels import client_label, scanner_name
from tracker.models import Delivery, Letter, Mailbox, Message, Notification, Recipient, TrackingPause
from tracker.models.rows import rows_by_id

SENTENCES: Mapping[str, str] = {
    "open": N_("%(who)s opened %(subject)s"),
    "click": N_("%(who)s followed a link in %(subject)s"),
    "reply": N_("%(who)s replied to %(subject)s"),
    "bounce": N_("Could not be delivered to %(who)s: %(subject)s"),
    "complaint": N_("%(who)s marked %(subject)s as spam"),
    "rejected": N_("Refused for %(who)s: %(subject)s"),
    "corrected": N_("Corrected: not %(who)s but a machine opened %(subject)s"),
    "follow_up": N_("Follow up: %(who)s has not replied to %(subject)s"),
    "enquiry": N_("%(who)s wrote: %(subject)s"),
    "letter": N_("Your customer %(who)s wrote: %(subject)s"),
    "enquiry_due": N_("Snoozed until now: %(who)s, %(subject)s"),
}
NEWS: Mapping[str, str] = {
    "opened_again": N_("%(who)s opened %(subject)s again, after a long silence"),
    "interest": N_("%(who)s comes back to %(subject)s again and again"),
}
"""What deserves more than the sentence of its kind."""
CORRECTIONS: Mapping[str, str] = {
    "security_scanner": N_("Corrected: a security check by %(machine)s, not %(who)s: %(subject)s"),
    "privacy_prefetch": N_("Corrected: Apple Mail loaded the pictures by itself, not %(who)s: %(subject)s"),
    "link_preview": N_("Corrected: a preview in a chat, not %(who)s: %(subject)s"),
    "sender_self": N_("Corrected: that was yourself, not %(who)s: %(subject)s"),
    "crawler": N_("Corrected: a robot, not %(who)s: %(subject)s"),
    "user": N_("Corrected by you: that was not %(who)s: %(subject)s"),
}
"""Who it was instead, by class; ``user`` is the person's own word."""
ICONS: Mapping[str, str] = {
    "open": "eye-solid",
    "click": "link-solid",
    "reply": "reply",
    "answered": "reply",
    "bounce": "bounce",
    "complaint": "bounce",
    "rejected": "bounce",
    "corrected": "machine",
    "follow_up": "clock",
    "enquiry": "inbox",
    "letter": "inbox",
    "enquiry_due": "clock",
    "customer_assigned": "person",
    "enquiry_assigned": "person",
    "mailbox": "mailbox",
    "withdrawal": "shield",
}


ANNOUNCED = 5
"""So many lines at a time are said aloud, the newest."""


@dataclass(frozen=True)
class BellLine:
    """A notification with the names that its sentence needs."""

    row: Notification
    who: str
    subject: str

    @property
    def icon(self) -> str:
        return ICONS.get(self.row.kind, "alert")

    @property
    def client(self) -> str:
        return client_label(self.row.client)

    @property
    def text(self) -> str:
        """The sentence as plain text."""
        if self.row.kind not in SENTENCES:
            return localize(self.row.detail)
        return _(SENTENCES[self.row.kind], who=self.who, subject=_("“%(subject)s”", subject=self.subject))

    @property
    def html(self) -> Markup:
        """The sentence with who and what marked; hostile names stay text."""
        if self.row.kind not in SENTENCES:
            return escape(localize(self.row.detail))
        marks = {
            "who": Markup("<b>{}</b>").format(self.who),
            "subject": Markup("<em>{}</em>").format(self.subject),
            "machine": escape(scanner_name(self.row.vendor)),
        }
        return escape(_(self._sentence)) % marks

    @property
    def _sentence(self) -> str:
        if self.row.kind == "corrected":
            return CORRECTIONS.get(self.row.machine, SENTENCES["corrected"])
        if self.row.kind == "open":
            return NEWS.get(self.row.news, SENTENCES["open"])
        return SENTENCES[self.row.kind]

    @property
    def note(self) -> str:
        """What was taken back of a line that stands all the same."""
        if self.row.kind not in ("open", "click") or not self.row.machine:
            return ""
        if self.row.machine == "security_scanner":
            return _("corrected: a security check by %(machine)s is not counted", machine=scanner_name(self.row.vendor))
        return _("corrected: what was no person is not counted")

    @property
    def counter(self) -> str:
        """``3×``, or both counts when there were opens and clicks; empty when it happened once."""
        if self.row.kind not in ("open", "click"):
            return ""
        if self.row.opens and self.row.clicks:
            opens = ngettext("%(num)d open", "%(num)d opens", self.row.opens)
            clicks = ngettext("%(num)d click", "%(num)d clicks", self.row.clicks)
            return f"{opens}, {clicks}"
        return f"{self.row.count}×" if self.row.count > 1 else ""

    @property
    def version(self) -> str:
        """Changes whenever the line has something new to say; a counter that grows says nothing new."""
        told_at = max((self.row.told or {}).values(), default="")
        return f"{self.row.public_id}:{self.row.kind}:{self.row.news}:{told_at or self.row.at.isoformat()}"


def bell_lines(session: Session, notifications: Sequence[Notification]) -> list[BellLine]:
    """The lines with the names they need, in four queries however many they are."""
    deliveries = rows_by_id(session, Delivery, [n.delivery_id for n in notifications])
    messages = rows_by_id(session, Message, [n.message_id for n in notifications])
    letters = _letters(session, notifications)
    return [
        _line(n, deliveries.get(n.delivery_id or 0), messages.get(n.message_id or 0), letters.get(n.subject))
        for n in notifications
    ]


@dataclass(frozen=True)
class Announcement:
    """What a notification outside of the page says: on the desktop, or pushed to a browser."""

    id: str
    """A newer one of the same id takes its place."""
    version: str
    kind: str
    text: str
    page: str
    """Where a click on it leads."""


def announcements(session: Session, lines: Sequence[BellLine]) -> list[Announcement]:
    """What of these lines is said aloud: the newest, and everything that quiet hours have held at once."""
    lines = [line for line in lines if line.row.kind != "corrected"]  # that is for the eye, not for the ear
    waited = [line for line in lines if line.row.held_until is not None]
    single = [line for line in lines if len(waited) < 2 or line.row.held_until is None][:ANNOUNCED]
    together = [_all_at_once(waited)] if len(waited) > 1 else []
    return [*(_announcement(session, line) for line in single), *together]


def _announcement(session: Session, line: BellLine) -> Announcement:
    return Announcement(line.row.public_id, line.version, line.row.kind, line.text, page_of(session, line.row))


def _all_at_once(waited: Sequence[BellLine]) -> Announcement:
    ended = max(line.row.held_until for line in waited if line.row.held_until is not None)
    words = ngettext(
        "While it was quiet: one thing happened", "While it was quiet: %(num)s things happened", len(waited)
    )
    return Announcement("quiet", f"quiet:{ended.timestamp():.0f}", "quiet", words, "/notifications")


def page_of(session: Session, line: Notification) -> str:
    """The page of what a line is about."""
    message = session.get(Message, line.message_id) if line.message_id else None
    if message is not None:
        return f"/mail/{message.public_id}"
    kind, _colon, rest = line.subject.partition(":")
    number = rest.partition(":")[0]
    if kind == "letter" and number.isdigit() and (letter := session.get(Letter, int(number))) and not letter.deleted_at:
        return f"/letters/{letter.public_id}"
    if kind == "pause" and number.isdigit() and (pause := session.get(TrackingPause, int(number))):
        return f"/recipients/{session.get_one(Recipient, pause.recipient_id).public_id}/rights#pause"
    if kind == "mailbox" and number.isdigit() and (mailbox := session.get(Mailbox, int(number))):
        # of somebody else's mailbox an administrator learns only that it is broken
        return f"/mailboxes/{mailbox.public_id}" if mailbox.user_id == line.user_id else "/notifications"
    return "/settings/accounts" if line.kind == "problem" else "/notifications"


def _line(
    notification: Notification, delivery: Delivery | None, message: Message | None, letter: Letter | None = None
) -> BellLine:
    who, subject = (delivery.name or delivery.address) if delivery else (message.names if message else ""), ""
    if letter is not None:
        who, subject = letter.sender_name or letter.sender_address or _("(no sender)"), letter.subject
    return BellLine(notification, who, subject or (message.subject if message else "") or _("(no subject)"))


def _letters(session: Session, notifications: Sequence[Notification]) -> dict[str, Letter]:
    """The letters that lines are about, by the subject of the line."""
    wanted = [int(n.subject.partition(":")[2]) for n in notifications if n.kind in ("enquiry", "letter", "enquiry_due")]
    return {f"letter:{id_}": letter for id_, letter in rows_by_id(session, Letter, wanted).items()}
