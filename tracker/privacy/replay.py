"""The list of erasures beside the database: a backup that is restored does not bring anybody back."""

import json
import logging
import os
from collections.abc import Iterable

from sqlmodel import col, select

from tracker.models import Erasure, Recipient
from tracker.recipients import suppressions
from tracker.runtime.context import AppContext

log = logging.getLogger(__name__)


def remember(context: AppContext, receipt: Erasure) -> None:
    """Adds a receipt to the list, which INKLING_ERASURES names. Nothing in it tells who it was."""
    line = json.dumps({"receipt": receipt.public_id, "digest": receipt.digest, "at": receipt.at.isoformat()})
    descriptor = os.open(context.settings.erasures_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as file:
        file.write(line + "\n")


def remembered(lines: Iterable[str]) -> set[str]:
    """The digests of a list. Lines that cannot be read are named in the log and passed over."""
    digests = set()
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                digests.add(str(json.loads(line)["digest"]))
        except (ValueError, KeyError, TypeError):
            log.error("line %d of the list of erasures cannot be read", number)
    return digests


def came_back(context: AppContext, digests: set[str]) -> list[str]:
    """The addresses in the database that somebody on the list had."""
    if not digests:
        return []
    with context.database.reading() as session:
        here = session.exec(select(Recipient.lookup).where(col(Recipient.erased_at).is_(None)))
        return [lookup for lookup in here if not digests.isdisjoint(suppressions(session, lookup))]
