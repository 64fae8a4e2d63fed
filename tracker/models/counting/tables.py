"""The tables that are read and written past the ORM."""

from typing import cast

from sqlalchemy import Table
from sqlmodel import SQLModel

from tracker import models


def _table(model: type[SQLModel]) -> Table:
    return cast(Table, getattr(model, "__table__"))  # noqa: B009


DELIVERY = _table(models.Delivery)
EVENT = _table(models.Event)
EVIDENCE = _table(models.HitEvidence)
ENQUIRY_KEY = _table(models.EnquiryKey)
FEED = _table(models.FeedItem)
LETTER = _table(models.Letter)
LETTER_BODY = _table(models.LetterBody)
LETTER_COPY = _table(models.LetterCopy)
LETTER_FILE = _table(models.LetterAttachment)
LETTER_RAW = _table(models.LetterRaw)
LINK = _table(models.TrackedLink)
MESSAGE = _table(models.Message)
NOTIFICATION = _table(models.Notification)
SCANNER_NETWORK = _table(models.ScannerNetwork)
SCANNER_PROOF = _table(models.ScannerProof)
VERDICT = _table(models.Verdict)
