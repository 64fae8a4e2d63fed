"""The letter of the daily digest: plain words in two forms, neither pixel nor tracked link."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from babel.dates import format_date
from markupsafe import Markup

from tracker.locale import babel_locale, ngettext, zone
from tracker.locale import gettext as _
from tracker.mail.addresses import Mailbox, domain_of
from tracker.mail.message_ids import NOTICE_HEADER, new_id, notice_mark
from tracker.mail.mime.build import NewMessage, build_message
from tracker.models import Account, User
from tracker.runtime.context import AppContext

LONGEST = 50
"""So many lines of a kind are written out; more are counted."""


@dataclass(frozen=True)
class Item:
    """One line: who, about what, what happened, and the address of the page that shows it."""

    who: str
    subject: str
    what: str
    url: str

    @property
    def about(self) -> str:
        quoted = _("“%(subject)s”") % {"subject": self.subject} if self.subject else ""
        return ", ".join(part for part in (self.who, quoted) if part)


@dataclass(frozen=True)
class Digest:
    """What happened to a person's mail since a moment. Empty when nothing did."""

    people: Sequence[Item]
    answers: Sequence[Item]
    trouble: Sequence[Item]
    corrected: Sequence[Item]

    @property
    def is_empty(self) -> bool:
        return not (self.people or self.answers or self.trouble or self.corrected)

    @property
    def sections(self) -> list[tuple[str, Sequence[Item]]]:
        named = [
            (_("Opened or clicked"), self.people),
            (_("Replies and reminders"), self.answers),
            (_("Trouble with delivery"), self.trouble),
            (_("Corrected"), self.corrected),
        ]
        return [(title, items) for title, items in named if items]


def write_letter(context: AppContext, user: User, account: Account, digest: Digest, at: datetime) -> bytes:
    """The digest in wire form, in the language and zone being spoken. One that is repeated has the same Message-ID."""
    day = format_date(at.astimezone(zone()), "d MMMM", locale=babel_locale())
    unique = context.keyring.digest(f"digest:{user.public_id}:{user.digest_since}")[:16]
    message_id = new_id(context.keyring, "n", unique, domain_of(account.address))
    return build_message(
        NewMessage(
            sender=Mailbox(account.address, "Inkling"),
            to=(Mailbox(user.email, user.name),),
            subject=_("Your mail in Inkling up to %(day)s") % {"day": day},
            message_id=message_id,
            date=at,
            html=_html(context, digest),
            text=_text(context, digest),
            # RFC 3834: no machine answers it
            headers=(("Auto-Submitted", "auto-generated"), (NOTICE_HEADER, notice_mark(context.keyring, message_id))),
        )
    )


def _text(context: AppContext, digest: Digest) -> str:
    blocks = []
    for title, items in digest.sections:
        lines = [f"- {_line(item)}\n  {item.url}" for item in items[:LONGEST]]
        blocks.append("\n".join([title, "", *lines, *_more(items)]))
    return "\n\n".join([*blocks, f"-- \n{_closing()}\n{_settings(context)}\n"])


def _html(context: AppContext, digest: Digest) -> str:
    blocks = []
    for title, items in digest.sections:
        lines = [Markup("<li>{}</li>").format(_linked(item)) for item in items[:LONGEST]]
        lines += [Markup("<li>{}</li>").format(more) for more in _more(items)]
        blocks.append(Markup("<h3>{}</h3><ul>{}</ul>").format(title, Markup("").join(lines)))
    closing = Markup('<p><small>{} <a href="{}">{}</a></small></p>')
    blocks.append(closing.format(_closing(), _settings(context), _("What may ring")))
    return f"<html><body>{Markup('').join(blocks)}</body></html>"


def _line(item: Item) -> str:
    return ": ".join(part for part in (item.about, item.what) if part)


def _linked(item: Item) -> Markup:
    if not item.about:
        return Markup('<a href="{}">{}</a>').format(item.url, item.what)
    what = f": {item.what}" if item.what else ""
    return Markup('<a href="{}">{}</a>{}').format(item.url, item.about, what)


def _more(items: Sequence[Item]) -> list[str]:
    rest = len(items) - LONGEST
    return [ngettext("and one more", "and %(num)s more", rest) % {"num": rest}] if rest > 0 else []


def _closing() -> str:
    return _("You get this letter once a day because you asked for it. It can be changed or ended here:")


def _settings(context: AppContext) -> str:
    return f"{context.settings.base_url}/notifications#ring"
