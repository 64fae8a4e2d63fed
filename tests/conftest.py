"""Fixtures that start the real servers of `tests/servers/__init__.py`, each only when a test asks for it."""

import sys
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from tests.fixtures.contexts import context, people  # noqa: F401  (fixtures)
from tests.servers import AuthorisationServer, Authority, Dovecot, Pages, Postgresql, SmtpSink
from tests.servers import authorisation_server as start_authorisation_server
from tests.servers import ca as make_ca
from tests.servers import chromium as start_chromium
from tests.servers import dovecot as start_dovecot
from tests.servers import postgresql as start_postgresql
from tests.servers import smtp_sink as start_smtp_sink
from tests.servers.watchdog import Watchdog

_watchdog = pytest.StashKey[Watchdog]()


def pytest_configure(config: pytest.Config) -> None:
    """A run that is killed leaves nothing behind. Under xdist each worker has a watchdog; the controller starts no servers."""
    if sys.platform == "linux" and not config.getoption("numprocesses", None):
        config.stash[_watchdog] = Watchdog()


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
