"""The real servers that tests talk to. Everything is on a free port of 127.0.0.1, in temporary folders, and ends with its block.

    with smtp_sink(login="anna", secret="s", tls="starttls") as sink: ...
    with dovecot() as server: ...
    with postgresql() as cluster: ...
    with chromium() as browser: ...

The fixtures of the same names are in `conftest.py`. A missing program skips the test by name, and fails it in CI.
"""

from tests.servers.authority import Authority, ca
from tests.servers.chromium import Pages, chromium
from tests.servers.dovecot import Dovecot, dovecot
from tests.servers.oauth import AuthorisationServer, authorisation_server
from tests.servers.postgresql import Postgresql, postgresql
from tests.servers.processes import free_port, listening, require, unavailable, wait_until
from tests.servers.push import PushService, push_service
from tests.servers.smtp import Accepted, SmtpRules, SmtpSink, silent_server, smtp_sink

__all__ = [
    "Accepted",
    "AuthorisationServer",
    "Authority",
    "Dovecot",
    "Pages",
    "Postgresql",
    "PushService",
    "SmtpRules",
    "SmtpSink",
    "authorisation_server",
    "ca",
    "chromium",
    "dovecot",
    "free_port",
    "listening",
    "postgresql",
    "push_service",
    "require",
    "silent_server",
    "smtp_sink",
    "unavailable",
    "wait_until",
]
