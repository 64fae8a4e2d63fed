"""Deployment settings, read once from the environment and checked at start.

What people change while Inkling runs lives in the database and is called *preferences*.
"""

import difflib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from pixel import environment
from tracker.runtime.limits import LISTENED_MAILBOXES, MAX_MESSAGES_PER_HOUR, MOST_LISTENED_MAILBOXES

Network = environment.Network
SettingError = environment.SettingError
DEFAULT_URL = environment.DEFAULT_URL

OAUTH_ENDPOINTS = {
    "google": ("https://accounts.google.com/o/oauth2/v2/auth", "https://oauth2.googleapis.com/token"),
    "microsoft": (
        "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        "https://login.microsoftonline.com/common/oauth2/v2.0/token",
    ),
}
"""Where people sign in, and where tokens come from, as the providers publish them."""
_OAUTH_PARTS = ("CLIENT_ID", "CLIENT_SECRET", "AUTHORIZE_URL", "TOKEN_URL")

NAMES = (
    "INKLING_DATA_DIR",
    "INKLING_DATABASE_URL",
    "INKLING_ERASURES",
    "INKLING_SECRET_KEYS",
    "INKLING_BASE_URL",
    "INKLING_TRACKING_URL",
    "INKLING_TRUSTED_PROXIES",
    "INKLING_EDGE_URLS",
    "INKLING_DRAIN_KEY",
    "INKLING_SMTP_HOST",
    "INKLING_SMTP_PORT",
    "INKLING_MESSAGES_PER_HOUR",
    "INKLING_SMTP_TLS_CERT",
    "INKLING_SMTP_TLS_KEY",
    "INKLING_ALLOW_PRIVATE_HOSTS",
    "INKLING_CA_FILE",
    "INKLING_LISTENED_MAILBOXES",
    "INKLING_EVIDENCE_DAYS",
    "INKLING_WINDOW_SCALE",
    "INKLING_TRACKING_CEILING",
    "INKLING_HITS_PER_SOURCE",
    "INKLING_HITS_PER_TOKEN",
    "INKLING_HITS_PER_COPY",
    *(f"INKLING_{provider.upper()}_{part}" for provider in OAUTH_ENDPOINTS for part in _OAUTH_PARTS),
)

CEILING_POLICIES = ("off", "strict", "notice")
CEILING_PURPOSES = ("opens", "clicks", "documents")


@dataclass(frozen=True)
class OAuthClient:
    """What a provider knows us by. The secret may be empty: a public client, proved by PKCE alone."""

    id: str
    secret: str = field(repr=False)
    authorize_url: str
    token_url: str


@dataclass(frozen=True)
class Settings:
    """Everything the environment says, typed. Built by :func:`read_settings`."""

    data_dir: Path
    database_url: str = field(repr=False)
    erasures_path: Path
    """The list of those who were erased, digests only: it is to survive a backup that is restored."""
    secret_keys: tuple[str, ...] = field(repr=False)
    """Newest first; empty means: the file in the data folder, made at first use."""
    base_url: str
    tracking_url: str
    trusted_proxies: tuple[Network, ...] = ()
    edge_urls: tuple[str, ...] = ()
    drain_key: str | None = field(default=None, repr=False)
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 2525
    messages_per_hour: int = MAX_MESSAGES_PER_HOUR
    """That one person may hand in by the gateway; 0 for no limit."""
    smtp_tls_cert: Path | None = None
    smtp_tls_key: Path | None = None
    allow_private_hosts: tuple[Network, ...] = ()
    ca_file: Path | None = None
    listened_mailboxes: int = LISTENED_MAILBOXES
    evidence_days: int = 7
    window_scale: float = 1.0
    tracking_ceiling: frozenset[str] = frozenset()
    """The loosest policy and the purposes that may be chosen; what they mean is settled in
    :mod:`tracker.consent.rules.country_rules`."""
    hits_per_source: int | None = None
    hits_per_token: int | None = None
    hits_per_copy: int | None = None
    """Budgets of the edge, hits per minute (0 for no limit); None leaves the edge its own."""
    oauth_clients: Mapping[str, OAuthClient] = field(default_factory=dict)
    """By provider, those that were configured."""

    @property
    def tracking_path(self) -> str:
        """What stands before the paths of pixels, links and recipients' pages; mostly nothing."""
        return urlsplit(self.tracking_url).path

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def read_settings(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env"), default_url: str = DEFAULT_URL
) -> Settings:
    """The settings of this process. ``environ`` wins over the file ``dotenv``; ``NAME_FILE`` reads a value from a file.

    Raises :class:`SettingError` for an unknown ``INKLING_…`` name and for any value that cannot be used.
    """
    values = read_values(environ, dotenv)
    data_dir = _data_dir(values.get("INKLING_DATA_DIR", "./data"))
    base_url = environment.base_url("INKLING_BASE_URL", values.get("INKLING_BASE_URL", default_url))
    cert, key = _certificate(values)
    return Settings(
        data_dir=data_dir,
        database_url=_database_url(values.get("INKLING_DATABASE_URL"), data_dir),
        erasures_path=Path(values.get("INKLING_ERASURES", data_dir / "erasures.jsonl")).absolute(),
        secret_keys=_secret_keys(values),
        base_url=base_url,
        tracking_url=environment.url("INKLING_TRACKING_URL", values.get("INKLING_TRACKING_URL", base_url)),
        trusted_proxies=_networks("INKLING_TRUSTED_PROXIES", values),
        edge_urls=_edge_urls(values),
        drain_key=environment.drain_key("INKLING_DRAIN_KEY", values.get("INKLING_DRAIN_KEY", "")),
        smtp_host=values.get("INKLING_SMTP_HOST", "127.0.0.1"),
        smtp_port=_whole("INKLING_SMTP_PORT", values, 2525, 65535),
        messages_per_hour=_whole("INKLING_MESSAGES_PER_HOUR", values, MAX_MESSAGES_PER_HOUR, 1_000_000),
        smtp_tls_cert=cert,
        smtp_tls_key=key,
        allow_private_hosts=_networks("INKLING_ALLOW_PRIVATE_HOSTS", values),
        ca_file=_file("INKLING_CA_FILE", values),
        listened_mailboxes=_whole("INKLING_LISTENED_MAILBOXES", values, LISTENED_MAILBOXES, MOST_LISTENED_MAILBOXES),
        evidence_days=_whole("INKLING_EVIDENCE_DAYS", values, 7, 30),
        window_scale=environment.number("INKLING_WINDOW_SCALE", values.get("INKLING_WINDOW_SCALE", "1"), 0.001, 100),
        tracking_ceiling=_ceiling(values.get("INKLING_TRACKING_CEILING", "")),
        hits_per_source=_budget("INKLING_HITS_PER_SOURCE", values),
        hits_per_token=_budget("INKLING_HITS_PER_TOKEN", values),
        hits_per_copy=_budget("INKLING_HITS_PER_COPY", values),
        oauth_clients=_oauth_clients(values),
    )


def read_values(environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> dict[str, str]:
    """What is given for each of :data:`NAMES`, unchecked: files read, blanks left out. Raises :class:`SettingError`."""
    values = {**_given(_dotenv(dotenv)), **_given(os.environ if environ is None else environ)}
    return {name: value for name, value in values.items() if value}


def _dotenv(path: Path | None) -> dict[str, str]:
    if path is None or not path.is_file():
        return {}
    try:
        return {name: value for name, value in dotenv_values(path).items() if value is not None}
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{path} cannot be read: {error}") from None


def _given(values: Mapping[str, str]) -> dict[str, str]:
    """One source's word on each setting. A blank says: as if nothing stood in the file ``.env``."""
    names = {_known(name) for name in values if name.startswith("INKLING_")}
    return {name: environment.value(values, name) for name in names if _is_given(values, name)}


def _is_given(values: Mapping[str, str], name: str) -> bool:
    return name in values or bool(values[f"{name}_FILE"].strip())


def _known(name: str) -> str:
    known = name.removesuffix("_FILE") if name not in NAMES else name
    if known not in NAMES:
        near = difflib.get_close_matches(known[8:], [name[8:] for name in NAMES], n=1)
        hint = f" Did you mean INKLING_{near[0]}?" if near else f" Known are {', '.join(NAMES)}."
        raise SettingError(f"{name} is not a setting of Inkling.{hint}")
    return known


def _secret_keys(values: Mapping[str, str]) -> tuple[str, ...]:
    return (
        environment.secret_keys("INKLING_SECRET_KEYS", values["INKLING_SECRET_KEYS"])
        if "INKLING_SECRET_KEYS" in values
        else ()
    )


def _edge_urls(values: Mapping[str, str]) -> tuple[str, ...]:
    urls = tuple(
        environment.url("INKLING_EDGE_URLS", url) for url in environment.words(values.get("INKLING_EDGE_URLS", ""))
    )
    if urls and "INKLING_DRAIN_KEY" not in values:
        raise SettingError(
            "INKLING_EDGE_URLS is set but INKLING_DRAIN_KEY is not; remote edges give their hits only for that key"
        )
    return urls


def _networks(name: str, values: Mapping[str, str]) -> tuple[Network, ...]:
    return environment.networks(name, values.get(name, ""))


def _whole(name: str, values: Mapping[str, str], default: int, most: int) -> int:
    return environment.whole(name, values.get(name, str(default)), 0, most)


def _budget(name: str, values: Mapping[str, str]) -> int | None:
    return environment.hits(name, values.get(name, ""))


def _data_dir(value: str) -> Path:
    path = Path(value).absolute()
    if path.exists() and not path.is_dir():
        raise SettingError(f"INKLING_DATA_DIR names a file where a folder is needed: {path}")
    return path


def _database_url(value: str | None, data_dir: Path) -> str:
    if value is None:
        return f"sqlite:///{data_dir / 'inkling.sqlite3'}"
    scheme, _, rest = value.partition("://")
    if scheme == "sqlite":
        if rest.strip("/") in ("", ":memory:") or "?" in rest or not rest.startswith("/"):
            raise SettingError(
                "INKLING_DATABASE_URL must name a file, such as sqlite:////var/lib/inkling/inkling.sqlite3"
            )
        return value
    url = f"postgresql+psycopg://{rest}"
    if scheme not in ("postgresql", "postgres", "postgresql+psycopg") or not rest or not _is_database_url(url):
        # The value is not shown: it may hold a password.
        raise SettingError(
            "INKLING_DATABASE_URL must look like postgresql://user:password@host/name or sqlite:////folder/file"
        )
    return url


def _is_database_url(url: str) -> bool:
    from sqlalchemy.engine import make_url  # the edge reads these settings too, and has no use for a database
    from sqlalchemy.exc import ArgumentError

    try:
        return bool(make_url(url).database)
    except (ArgumentError, ValueError):
        return False


def _ceiling(value: str) -> frozenset[str]:
    words = frozenset(word.lower() for word in environment.words(value))
    if words - {*CEILING_POLICIES, *CEILING_PURPOSES} or len(words & set(CEILING_POLICIES)) > 1:
        raise SettingError(
            f"INKLING_TRACKING_CEILING must hold one of {', '.join(CEILING_POLICIES)}, or some of "
            f"{', '.join(CEILING_PURPOSES)}, or both, divided by commas, such as strict,opens; not {value!r}"
        )
    return words


def _certificate(values: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    cert, key = _file("INKLING_SMTP_TLS_CERT", values), _file("INKLING_SMTP_TLS_KEY", values)
    if (cert is None) != (key is None):
        missing = "INKLING_SMTP_TLS_KEY" if key is None else "INKLING_SMTP_TLS_CERT"
        raise SettingError(f"{missing} is not set; the gateway needs the certificate and its key together")
    return cert, key


def _oauth_clients(values: Mapping[str, str]) -> dict[str, OAuthClient]:
    clients = {provider: _oauth_client(provider, values) for provider in OAUTH_ENDPOINTS}
    return {provider: client for provider, client in clients.items() if client is not None}


def _oauth_client(provider: str, values: Mapping[str, str]) -> OAuthClient | None:
    prefix = f"INKLING_{provider.upper()}_"
    client_id = values.get(f"{prefix}CLIENT_ID")
    others = [f"{prefix}{part}" for part in _OAUTH_PARTS[1:] if f"{prefix}{part}" in values]
    if client_id is None:
        if others:
            raise SettingError(f"{others[0]} is set but {prefix}CLIENT_ID is not; people cannot sign in without it")
        return None
    if not re.fullmatch(r"[!-~]{1,255}", client_id):
        raise SettingError(f"{prefix}CLIENT_ID must be the id that the provider gave, without spaces")
    urls = zip(("AUTHORIZE_URL", "TOKEN_URL"), OAUTH_ENDPOINTS[provider], strict=True)
    authorize, token = (
        environment.url(f"{prefix}{part}", values.get(f"{prefix}{part}", usual)) for part, usual in urls
    )
    return OAuthClient(client_id, values.get(f"{prefix}CLIENT_SECRET", ""), authorize, token)


def _file(name: str, values: Mapping[str, str]) -> Path | None:
    if name not in values:
        return None
    path = Path(values[name])
    if not path.is_file():
        raise SettingError(f"{name} names a file that is not there: {path}")
    return path
