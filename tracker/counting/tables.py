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
FEED = _table(models.FeedItem)
LINK = _table(models.TrackedLink)
MESSAGE = _table(models.Message)
NOTIFICATION = _table(models.Notification)
SCANNER_NETWORK = _table(models.ScannerNetwork)
SCANNER_PROOF = _table(models.ScannerProof)
VERDICT = _table(models.Verdict)
