"""Another process that does a piece of work and dies at a commit, and what its leases are after their time."""

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Literal

from sqlmodel import update

from tracker.runtime.context import House
from tracker.runtime.database import now
from tracker.runtime.lease import Lease

Moment = Literal["before_commit", "after_commit"]
_DIE = """
import json, os, sys
from importlib import import_module
from sqlalchemy import event
from sqlalchemy.orm import Session
from tracker.runtime.context import open_house
from tracker.runtime.settings import read_settings

environ, work, moment, number = sys.argv[1:]
commits = []

def count(session):
    commits.append(session)
    if len(commits) == int(number):
        os._exit(9)

module, _, function = work.partition(":")
house = open_house(read_settings(json.loads(environ), dotenv=None))
event.listen(Session, moment, count)
getattr(import_module(module), function)(house)
"""


def die_in(house: House, work: str, moment: Moment, number: int) -> None:
    """Another process calls ``work`` (module:function) and dies before or after its commit of that number."""
    environ = {
        "INKLING_DATA_DIR": str(house.settings.data_dir),
        "INKLING_DATABASE_URL": house.settings.database_url,
        "INKLING_ALLOW_PRIVATE_HOSTS": "127.0.0.0/8,::1",
    }
    if house.database.is_sqlite:
        del environ["INKLING_DATABASE_URL"]
    command = [sys.executable, "-c", _DIE, json.dumps(environ), work, moment, str(number)]
    root = Path(__file__).resolve().parent.parent
    assert subprocess.run(command, check=False, cwd=root, timeout=60).returncode == 9


def expire_leases(house: House) -> None:
    """As when whoever holds them has given no sign of life for long."""
    with house.database.session_scope() as session:
        session.exec(update(Lease).values(until=now() - timedelta(seconds=1)))
