"""The archive of one person: the same data as JSON for programs and as a page for people, in one ZIP file."""

import json
from collections.abc import Mapping
from datetime import datetime
from io import BytesIO
from typing import Any
from zipfile import ZIP_DEFLATED, ZipFile

from tracker.locale import language, use_locale
from tracker.locale.templates import write
from tracker.models import Recipient
from tracker.privacy.held import held_about
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


def archive_of(context: AppContext, recipient: Recipient, words: str = "en", of_user: int | None = None) -> bytes:
    """The ZIP file, its page in the language ``words``: ``data.json`` and ``index.html``.

    With ``of_user`` it holds the ledger and that user's own mail alone: whoever of us asks sees nothing of a colleague's.
    """
    with context.database.reading() as session:
        held = {"made_at": now().isoformat(timespec="seconds"), **held_about(session, context, recipient, of_user)}
    file = BytesIO()
    with ZipFile(file, "w", ZIP_DEFLATED) as packed, use_locale(words):
        packed.writestr("data.json", json.dumps(held, ensure_ascii=False, indent=2, default=str))
        packed.writestr("index.html", page_of(held))
    return file.getvalue()


def archive_name(moment: datetime) -> str:
    return f"inkling-{moment:%Y-%m-%d}.zip"


def page_of(held: Mapping[str, Any]) -> str:
    """The data as a page that needs nothing else, in the language being spoken."""
    return write("compliance/archive.html", held=held, language=language())
