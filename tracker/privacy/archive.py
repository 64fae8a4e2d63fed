"""The archive of one person: the same data as JSON for programs and as a page for people, in one ZIP file."""

import html
import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tracker.locale import N_, language, speaking
from tracker.locale import gettext as _
from tracker.models import Recipient
from tracker.privacy.held import held_about
from tracker.runtime.context import AppContext
from tracker.runtime.database import now

_HEADINGS: Mapping[str, str] = {
    "subject": N_("Who this is about"),
    "consent": N_("What is agreed to now"),
    "ledger": N_("Everything that was said about being measured, with its evidence"),
    "copies": N_("Messages sent to you, and what was measured of them"),
    "alerts": N_("Alerts that were made from it"),
    "letters": N_("Letters of yours that were read in"),
    "viewed_by": N_("Who has looked at it"),
    "kept_for": N_("How many days things are kept"),
}
_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>body{{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}}
dl{{display:grid;grid-template-columns:minmax(8rem,14rem) 1fr;gap:.1rem 1rem;margin:.2rem 0}}dt{{color:#57606a}}dd{{margin:0;
overflow-wrap:anywhere}}ol{{padding-left:1.2rem}}li{{border-top:1px solid #d5d9df;padding:.5rem 0}}</style></head>
<body><h1>{title}</h1><p>{lead}</p>{body}</body></html>
"""


def archive_of(context: AppContext, recipient: Recipient, words: str = "en", of_user: int | None = None) -> bytes:
    """The ZIP file, its page in the language ``words``: ``data.json`` and ``index.html``.

    With ``of_user`` it holds the ledger and that user's own mail alone: whoever of us asks sees nothing of a colleague's.
    """
    with context.database.reading() as session:
        held = {"made_at": now().isoformat(timespec="seconds"), **held_about(session, context, recipient, of_user)}
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed, speaking(words):
        packed.writestr("data.json", json.dumps(held, ensure_ascii=False, indent=2, default=str))
        packed.writestr("index.html", page_of(held))
    return file.getvalue()


def archive_name(moment: datetime) -> str:
    return f"inkling-{moment:%Y-%m-%d}.zip"


def page_of(held: Mapping[str, Any]) -> str:
    """The data as a page that needs nothing else, in the language being spoken."""
    parts = [f"<h2>{html.escape(_(words))}</h2>{_shown(held[key])}" for key, words in _HEADINGS.items()]
    if not held["ledger_is_whole"]:
        parts.insert(
            0, f"<p><strong>{html.escape(_('The ledger was changed from outside: it does not verify.'))}</strong></p>"
        )
    lead = _(
        "Made on %(day)s. Everything that this workspace’s tracking holds about you; other people’s data is left out."
    )
    return _PAGE.format(
        language=language(),
        title=html.escape(_("What is held about you")),
        lead=html.escape(lead % {"day": str(held["made_at"])[:10]}),
        body="".join(parts),
    )


def _shown(value: Any) -> str:
    if isinstance(value, Mapping):
        rows = "".join(f"<dt>{html.escape(_label(key))}</dt><dd>{_shown(one)}</dd>" for key, one in value.items())
        return f"<dl>{rows}</dl>" if rows else "—"
    if isinstance(value, list):
        return (
            "<ol>" + "".join(f"<li>{_shown(one)}</li>" for one in value) + "</ol>"
            if value
            else f"<p>{_('Nothing.')}</p>"
        )
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return html.escape(str(value)) if value not in (None, "") else "—"


def _label(key: str) -> str:
    return key.replace("_", " ")
