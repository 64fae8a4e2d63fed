"""The context: what every role of the product shares, wired once at start."""

import ssl
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from pixel.settings import load_or_make_keys
from pixel.tokens import Tokens, click_path, open_path
from tracker.runtime.database import Database
from tracker.runtime.keyring import Keyring
from tracker.runtime.lease import Leases
from tracker.runtime.networks import resolved, web_request
from tracker.runtime.settings import Settings


@dataclass(frozen=True)
class AppContext:
    """Settings, database, keys. Immutable and safe to share between threads."""

    settings: Settings
    database: Database
    keyring: Keyring
    tokens: Tokens
    leases: Leases
    sandbox_url: str | None = None
    """Where the recipients of a demo read their mail."""
    name_server: tuple[str, int] | None = None
    """Address and port of the DNS server to ask; None is the one this machine is set up with."""

    @cached_property
    def own_hosts(self) -> frozenset[str]:
        """``host`` or ``host:port`` of our own addresses, as they stand in links."""
        return frozenset(urlsplit(url).netloc.lower() for url in (self.settings.base_url, self.settings.tracking_url))

    def pixel_url(self, delivery: str) -> str:
        return self.settings.tracking_url + open_path(self.tokens.open(delivery))

    def click_url(self, delivery: str, link: int, url: str) -> str:
        return self.settings.tracking_url + click_path(self.tokens.click(delivery, link, url))

    def trap_url(self, delivery: str) -> str:
        """The hidden link of a copy; it looks like every other link of ours."""
        return self.settings.tracking_url + click_path(self.tokens.trap(delivery))

    def resolved(self, host: str, port: int) -> list[str]:
        """The IP addresses of a host where we may connect: public, or in a network the operator allowed. See :func:`resolved`."""
        return resolved(host, port, self.settings.allow_private_hosts)

    def web_request(self, method: str, url: str, *, seconds: float, **more: Any) -> httpx.Response:
        """Asks a web server of somebody else's: see :func:`web_request`."""
        networks = self.settings.allow_private_hosts
        return web_request(method, url, tls=self.web_tls_context(), networks=networks, seconds=seconds, **more)

    def tls_context(self) -> ssl.SSLContext:
        """For mail servers. Certificates are always checked; authorities of one's own come from ``INKLING_CA_FILE``, which is read
        once in a process."""
        return _tls_for_mail(self.settings.ca_file)

    def web_tls_context(self) -> ssl.SSLContext:
        """The same for a web server. It is made anew for each client: those write into it which protocols they speak."""
        return _tls_context(self.settings.ca_file)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


_tls_for_mail = cache(_tls_context)
"""Once per process: reading a system's authorities takes longer than handing in a message."""


def create_context(settings: Settings) -> AppContext:
    """Wires the context. Makes the data folder and the key file where they are missing."""
    settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    keys = settings.secret_keys or tuple(load_or_make_keys(settings.data_dir))
    database, keyring = Database(settings), Keyring(keys)
    database.info["suppressions"] = keyring.suppressions
    leases = Leases(database.wakeups.process)
    return AppContext(settings=settings, database=database, keyring=keyring, tokens=Tokens(keys), leases=leases)
