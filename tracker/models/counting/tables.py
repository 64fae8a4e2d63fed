"""The tables that are read and written past the ORM."""

from typing import cast

from sqlalchemy import Table
from sqlmodel import SQLModel

from tracker import models


def _table(model: type[SQLModel]) -> Table:
    return cast(Table, getattr(model, "__table__"))  # noqa: B009


CUSTOMER = _table(models.Customer)
CUSTOMER_ADDRESS = _table(models.CustomerAddress)
CUSTOMER_TERM = _table(models.CustomerTerm)
DELIVERY = _table(models.Delivery)
EVENT = _table(models.Event)
EVIDENCE = _table(models.HitEvidence)
ENQUIRY_KEY = _table(models.EnquiryKey)
ENQUIRY_STATUS = _table(models.EnquiryStatus)
FEED = _table(models.FeedItem)
LETTER = _table(models.Letter)
LETTER_BINDING = _table(models.LetterBinding)
LETTER_BODY = _table(models.LetterBody)
LETTER_COPY = _table(models.LetterCopy)
LETTER_FILE = _table(models.LetterAttachment)
LETTER_RAW = _table(models.LetterRaw)
LINK = _table(models.TrackedLink)
MESSAGE = _table(models.Message)
NOTIFICATION = _table(models.Notification)
ORDER = _table(models.Order)
SCANNER_NETWORK = _table(models.ScannerNetwork)
SCANNER_PROOF = _table(models.ScannerProof)
VERDICT = _table(models.Verdict)
