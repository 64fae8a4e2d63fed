"""What the footer line of a copy says, in the language of the message."""

import re
from collections.abc import Mapping
from datetime import date

from sqlmodel import Session

from tracker.consent.preference_links import LinkKind, PreferenceLink, preference_url
from tracker.consent.preferences import preference
from tracker.locale import N_, _, use_locale
from tracker.models import Delivery, Recipient
from tracker.outbound.rewriter.footer import Footer, mark_of
from tracker.runtime.context import AppContext

_TAG = re.compile(r"<[^>]*>|&[#\w]+;")
_CYRILLIC = re.compile("[\u0400-\u04ff]")

LONGEST = 300
"""Characters of a workspace's own sentence."""
WHAT: Mapping[tuple[bool, bool], str] = {
    (True, True): N_("The sender can see whether this message is opened and which of its links are followed."),
    (True, False): N_("The sender can see whether this message is opened."),
    (False, True): N_("The sender can see which links of this message are followed."),
}
"""The sentence by what is measured: opens, clicks."""


def footer_for(session: Session, context: AppContext, delivery: Delivery, html: str, day: date) -> Footer | None:
    """The footer of a tracked copy; None where the workspace wants none. A sentence of its own takes the place of ours."""
    if not preference(session, "footer") or not (delivery.opens_on or delivery.clicks_on):
        return None
    recipient = session.get_one(Recipient, delivery.recipient_id)
    language = language_of(html)
    own = str((preference(session, "footer_words") or {}).get(language, "")).strip()
    with use_locale(language):
        words = own or _(WHAT[delivery.opens_on, delivery.clicks_on])
        label = _("What is seen, and how to stop it")
    mark = mark_of(f"{words} {label}")
    link = PreferenceLink(LinkKind.COPY, recipient.public_id, delivery.public_id, day, mark)
    return Footer(words, label, preference_url(context, link))


def language_of(html: str) -> str:
    """The language of ours that a message is written in, by the letters it begins with: Russian where most are Cyrillic."""
    beginning = html[:20_000]
    if beginning.isascii():
        return "en"
    text = _TAG.sub(" ", beginning)
    return "ru" if len(_CYRILLIC.findall(text)) * 2 > sum(map(str.isalpha, text)) else "en"
