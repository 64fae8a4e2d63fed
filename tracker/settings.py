"""Deployment settings, read once from the environment and checked at start.

What people change while Inkling runs lives in the database and is called *preferences*.
"""

import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

from pixel.tokens import check_keys
from tracker.limits import LISTENED_MAILBOXES, MOST_LISTENED_MAILBOXES

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
    "INKLING_SECRET_KEYS",
    "INKLING_BASE_URL",
    "INKLING_TRACKING_URL",
    "INKLING_TRUSTED_PROXIES",
    "INKLING_EDGE_URLS",
    "INKLING_DRAIN_KEY",
    "INKLING_SMTP_HOST",
    "INKLING_SMTP_PORT",
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
    *(f"INKLING_{provider.upper()}_{part}" for provider in OAUTH_ENDPOINTS for part in _OAUTH_PARTS),
)

CEILING_POLICIES = ("off", "strict", "notice")
CEILING_PURPOSES = ("opens", "clicks", "documents")
DEFAULT_URL = "http://127.0.0.1:8000"
MIN_DRAIN_KEY = 24  # the edge asks for as many
_MAKE_ONE = "make one with: openssl rand -hex 32"


class SettingError(ValueError):
    """A setting that cannot be used; the text names the variable and what is wrong with it."""


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
    secret_keys: tuple[str, ...] = field(repr=False)
    """Newest first; empty means: the file in the data folder, made at first use."""
    base_url: str
    tracking_url: str
    trusted_proxies: tuple[Network, ...] = ()
    edge_urls: tuple[str, ...] = ()
    drain_key: str | None = field(default=None, repr=False)
    smtp_host: str = "127.0.0.1"
    smtp_port: int = 2525
    smtp_tls_cert: Path | None = None
    smtp_tls_key: Path | None = None
    allow_private_hosts: tuple[Network, ...] = ()
    ca_file: Path | None = None
    listened_mailboxes: int = LISTENED_MAILBOXES
    evidence_days: int = 7
    window_scale: float = 1.0
    tracking_ceiling: frozenset[str] = frozenset()
    """The loosest policy and the purposes that may be chosen; what they mean is settled in :mod:`tracker.consent.ceiling`."""
    hits_per_source: int | None = None
    hits_per_token: int | None = None
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
    given = read_values(environ, dotenv)
    data_dir = _data_dir(given.get("INKLING_DATA_DIR", "./data"))
    base_url = _url("INKLING_BASE_URL", given.get("INKLING_BASE_URL", default_url))
    if urlsplit(base_url).path:
        raise SettingError(f"INKLING_BASE_URL must have no path, not {base_url!r}; the pages need a host of their own")
    cert, key = _certificate(given)
    return Settings(
        data_dir=data_dir,
        database_url=_database_url(given.get("INKLING_DATABASE_URL"), data_dir),
        secret_keys=_keys(given.get("INKLING_SECRET_KEYS", "")),
        base_url=base_url,
        tracking_url=_url("INKLING_TRACKING_URL", given.get("INKLING_TRACKING_URL", base_url)),
        trusted_proxies=_networks("INKLING_TRUSTED_PROXIES", given),
        edge_urls=tuple(_url("INKLING_EDGE_URLS", url) for url in _words(given.get("INKLING_EDGE_URLS", ""))),
        drain_key=_drain_key(given),
        smtp_host=given.get("INKLING_SMTP_HOST", "127.0.0.1"),
        smtp_port=_whole("INKLING_SMTP_PORT", given.get("INKLING_SMTP_PORT", "2525"), 0, 65535),
        smtp_tls_cert=cert,
        smtp_tls_key=key,
        allow_private_hosts=_networks("INKLING_ALLOW_PRIVATE_HOSTS", given),
        ca_file=_file("INKLING_CA_FILE", given),
        listened_mailboxes=_whole(
            "INKLING_LISTENED_MAILBOXES",
            given.get("INKLING_LISTENED_MAILBOXES", str(LISTENED_MAILBOXES)),
            0,
            MOST_LISTENED_MAILBOXES,
        ),
        evidence_days=_whole("INKLING_EVIDENCE_DAYS", given.get("INKLING_EVIDENCE_DAYS", "7"), 0, 30),
        window_scale=_number("INKLING_WINDOW_SCALE", given.get("INKLING_WINDOW_SCALE", "1"), 0.001, 100),
        tracking_ceiling=_ceiling(given.get("INKLING_TRACKING_CEILING", "")),
        hits_per_source=_budget("INKLING_HITS_PER_SOURCE", given),
        hits_per_token=_budget("INKLING_HITS_PER_TOKEN", given),
        oauth_clients=_oauth_clients(given),
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
    given: dict[str, str] = {}
    for name, value in values.items():
        if not name.startswith("INKLING_"):
            continue
        known = _known(name)
        if known == name:
            given[name] = value.strip() or given.get(name, "")
        elif value.strip():
            if values.get(known, "").strip():
                raise SettingError(f"{known} and {name} are both set; keep one of them.")
            given[known] = _read(name, value.strip())
    return given


def _known(name: str) -> str:
    known = name.removesuffix("_FILE") if name not in NAMES else name
    if known not in NAMES:
        near = difflib.get_close_matches(known[8:], [name[8:] for name in NAMES], n=1)
        hint = f" Did you mean INKLING_{near[0]}?" if near else f" Known are {', '.join(NAMES)}."
        raise SettingError(f"{name} is not a setting of Inkling.{hint}")
    return known


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name} names a file that cannot be read: {path} ({error})") from None


def _words(value: str) -> list[str]:
    """A list divided by commas or, as in files, by line ends."""
    return [word.strip() for word in re.split(r"[,\r\n]", value) if word.strip()]


def _data_dir(value: str) -> Path:
    path = Path(value).absolute()
    if path.exists() and not path.is_dir():
        raise SettingError(f"INKLING_DATA_DIR names a file where a folder is needed: {path}")
    return path


def _keys(value: str) -> tuple[str, ...]:
    keys = tuple(_words(value))
    try:
        if keys:
            check_keys(keys)
    except ValueError as error:
        raise SettingError(f"INKLING_SECRET_KEYS: {error}; {_MAKE_ONE}") from None
    return keys


def _drain_key(given: Mapping[str, str]) -> str | None:
    key = given.get("INKLING_DRAIN_KEY")
    if key is not None and not re.fullmatch(rf"[!-~]{{{MIN_DRAIN_KEY},}}", key):
        raise SettingError(
            f"INKLING_DRAIN_KEY must have {MIN_DRAIN_KEY} or more ASCII characters without spaces; {_MAKE_ONE}"
        )
    if given.get("INKLING_EDGE_URLS") and key is None:
        raise SettingError(
            "INKLING_EDGE_URLS is set but INKLING_DRAIN_KEY is not; remote edges give their hits only for that key"
        )
    return key


def _url(name: str, value: str) -> str:
    try:
        parts = urlsplit(value)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:
        usable = False
    if not usable or not re.fullmatch(r"[!-~]+", value) or re.search(r"[?#@]", value):
        raise SettingError(f"{name} must be an address like https://mail.example.com, not {value!r}")
    return value.rstrip("/")


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


def _networks(name: str, given: Mapping[str, str]) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(word, strict=False) for word in _words(given.get(name, "")))
    except ValueError as error:
        raise SettingError(f"{name} must be addresses or networks, divided by commas: {error}") from None


def _number(name: str, value: str, least: float, most: float) -> float:
    try:
        number = float(value)
    except ValueError:
        raise SettingError(f"{name} must be a number, not {value!r}") from None
    if not least <= number <= most:
        raise SettingError(f"{name} must lie between {least:g} and {most:g}, not {value}")
    return number


def _whole(name: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        raise SettingError(f"{name} must be a whole number, not {value!r}")
    return int(_number(name, value, least, most))


def _ceiling(value: str) -> frozenset[str]:
    words = frozenset(word.lower() for word in _words(value))
    if words - {*CEILING_POLICIES, *CEILING_PURPOSES} or len(words & set(CEILING_POLICIES)) > 1:
        raise SettingError(
            f"INKLING_TRACKING_CEILING must hold one of {', '.join(CEILING_POLICIES)}, or some of "
            f"{', '.join(CEILING_PURPOSES)}, or both, divided by commas, such as strict,opens; not {value!r}"
        )
    return words


def _budget(name: str, given: Mapping[str, str]) -> int | None:
    return _whole(name, given[name], 0, 1_000_000_000) if name in given else None


def _certificate(given: Mapping[str, str]) -> tuple[Path | None, Path | None]:
    cert, key = _file("INKLING_SMTP_TLS_CERT", given), _file("INKLING_SMTP_TLS_KEY", given)
    if (cert is None) != (key is None):
        missing = "INKLING_SMTP_TLS_KEY" if key is None else "INKLING_SMTP_TLS_CERT"
        raise SettingError(f"{missing} is not set; the gateway needs the certificate and its key together")
    return cert, key


def _oauth_clients(given: Mapping[str, str]) -> dict[str, OAuthClient]:
    found = {provider: _oauth_client(provider, given) for provider in OAUTH_ENDPOINTS}
    return {provider: client for provider, client in found.items() if client is not None}


def _oauth_client(provider: str, given: Mapping[str, str]) -> OAuthClient | None:
    prefix = f"INKLING_{provider.upper()}_"
    client_id = given.get(f"{prefix}CLIENT_ID")
    others = [f"{prefix}{part}" for part in _OAUTH_PARTS[1:] if f"{prefix}{part}" in given]
    if client_id is None:
        if others:
            raise SettingError(f"{others[0]} is set but {prefix}CLIENT_ID is not; people cannot sign in without it")
        return None
    if not re.fullmatch(r"[!-~]{1,255}", client_id):
        raise SettingError(f"{prefix}CLIENT_ID must be the id that the provider gave, without spaces")
    urls = zip(("AUTHORIZE_URL", "TOKEN_URL"), OAUTH_ENDPOINTS[provider], strict=True)
    authorize, token = (_url(f"{prefix}{part}", given.get(f"{prefix}{part}", usual)) for part, usual in urls)
    return OAuthClient(client_id, given.get(f"{prefix}CLIENT_SECRET", ""), authorize, token)


def _file(name: str, given: Mapping[str, str]) -> Path | None:
    if name not in given:
        return None
    path = Path(given[name])
    if not path.is_file():
        raise SettingError(f"{name} names a file that is not there: {path}")
    return path
