"""Fixtures that start the real servers of `tests/servers/__init__.py`, each only when a test asks for it."""

import gc
import importlib
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp

import hypothesis
import pytest
from playwright.sync_api import Browser

from tests.fixtures.contexts import context, database_url, people  # noqa: F401  (fixtures)
from tests.servers import AuthorisationServer, Authority, Dovecot, Pages, Postgresql, SmtpSink
from tests.servers import authorisation_server as start_authorisation_server
from tests.servers import ca as make_ca
from tests.servers import chromium as start_chromium
from tests.servers import dovecot as start_dovecot
from tests.servers import postgresql as start_postgresql
from tests.servers import smtp_sink as start_smtp_sink
from tests.servers.authority import unknown_authority
from tests.servers.processes import memory_folder
from tests.servers.watchdog import Watchdog

ROOT = Path(__file__).resolve().parent.parent
hypothesis.settings.register_profile("tests", deadline=None)  # how long an example takes tells of the machine
hypothesis.settings.load_profile("tests")
MEMORY = 4 << 30
"""Bytes of memory that must be free for the folders of a run; with four workers it takes about a quarter."""
LONGEST = ("test_installed.py", "test_every_page.py", "test_story.py", "test_mailbox_story.py", "test_two_workers.py")
"""Files of tests that take the better part of a minute each, most of it waiting."""
_watchdog = pytest.StashKey[Watchdog]()


@pytest.hookimpl(tryfirst=True)  # before pytest chooses where its own folders are
def pytest_configure(config: pytest.Config) -> None:
    """A run that is killed leaves nothing behind. Workers are looked after by the process that starts them.

    Temporary folders are in memory where there is room: an SQLite file of a test's own is written to disk at each commit.
    Nobody on the internet is asked, so none of the authorities that the system trusts is known.
    """
    if hasattr(config, "workerinput"):
        return
    folder = memory_folder(MEMORY)
    if folder is not None:
        folder = Path(mkdtemp(prefix="inkling-tests-", dir=folder))
        folder.chmod(0o1777)  # as /tmp
        os.environ["TMPDIR"] = tempfile.tempdir = str(folder)
    os.environ["SSL_CERT_FILE"] = str(unknown_authority())
    if sys.platform == "linux":
        config.stash[_watchdog] = Watchdog(folder)


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """In a run of everything each worker begins with other files: each compiles a part of what all of them read.

    What cannot be imported is left to pytest, which says so.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args_source is not pytest.Config.ArgsSource.TESTPATHS:
        return
    files = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("test_*.py"))
    begin = len(files) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    with warnings.catch_warnings(action="error"):
        for file in files[begin:] + files[:begin]:
            with suppress(Exception, pytest.skip.Exception):
                importlib.import_module(".".join(file.with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files first: one that began last would run on alone."""
    items.sort(key=lambda item: next((n for n, end in enumerate(LONGEST) if item.path.name == end), len(LONGEST)))


def pytest_collection_finish() -> None:
    """The modules stay to the end: the collector need not walk through them again and again."""
    gc.set_threshold(100_000, 20, 100)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _watchdog in config.stash:
        config.stash[_watchdog].end()


@pytest.fixture(scope="session")
def ca() -> Authority:
    """The authority that signed the certificates of every server here."""
    return make_ca()


@pytest.fixture
def smtp_sink() -> Iterator[SmtpSink]:
    """A fresh SMTP server that takes everything from everybody, without TLS; others by `tests.servers.smtp_sink(…)`."""
    with start_smtp_sink() as sink:
        yield sink


@pytest.fixture
def authorisation() -> Iterator[AuthorisationServer]:
    """A fresh authorisation server; its `settings()` make a context trust it as Google or Microsoft."""
    with start_authorisation_server() as server:
        yield server


@pytest.fixture(scope="session")
def dovecot() -> Iterator[Dovecot]:
    """One Dovecot for the whole run: make users of your own, with addresses that no other test has."""
    with start_dovecot() as server:
        yield server


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Postgresql]:
    """One cluster for the whole run; take a database of your own with `fresh_database()`."""
    with start_postgresql() as cluster:
        yield cluster


@pytest.fixture
def postgresql_url(postgresql: Postgresql) -> Iterator[str]:
    """An empty database of this test's own."""
    url = postgresql.fresh_database()
    yield url
    postgresql.drop(url)


# Per file and not per run: while Playwright is on, its thread counts as running an event loop,
# and the files after this one may want asyncio.run().
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with start_chromium() as browser:
        yield browser


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Pages]:
    """`open_page(locale="ru-RU", colour_scheme="dark", viewport=(390, 844))` gives a page without any history."""
    pages = Pages(browser)
    yield pages
    pages.close()
