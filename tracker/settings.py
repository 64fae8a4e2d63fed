"""Deployment settings, read once from the environment and checked at start.

What people change while Inkling runs lives in the database and is called *preferences*.
"""

import difflib
import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from dotenv import dotenv_values

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
    "INKLING_EVIDENCE_DAYS",
    "INKLING_WINDOW_SCALE",
)


class SettingError(ValueError):
    """A setting that cannot be used; the text names the variable and what is wrong with it."""


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
    evidence_days: int = 7
    window_scale: float = 1.0

    @property
    def is_sqlite(self) -> bool:
        return self.database_url.startswith("sqlite")


def read_settings(environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings of this process. ``environ`` wins over the file ``dotenv``; ``NAME_FILE`` reads a value from a file.

    Raises :class:`SettingError` for an unknown ``INKLING_…`` name and for any value that cannot be used.
    """
    values = {**_from_file(dotenv), **(os.environ if environ is None else environ)}
    given = _given(values)
    data_dir = Path(given.get("INKLING_DATA_DIR", "./data")).absolute()
    base_url = _url("INKLING_BASE_URL", given.get("INKLING_BASE_URL", "http://127.0.0.1:8000"))
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
        smtp_port=int(_number("INKLING_SMTP_PORT", given.get("INKLING_SMTP_PORT", "2525"), 0, 65535)),
        smtp_tls_cert=_file("INKLING_SMTP_TLS_CERT", given),
        smtp_tls_key=_file("INKLING_SMTP_TLS_KEY", given),
        allow_private_hosts=_networks("INKLING_ALLOW_PRIVATE_HOSTS", given),
        ca_file=_file("INKLING_CA_FILE", given),
        evidence_days=int(_number("INKLING_EVIDENCE_DAYS", given.get("INKLING_EVIDENCE_DAYS", "7"), 0, 30)),
        window_scale=_number("INKLING_WINDOW_SCALE", given.get("INKLING_WINDOW_SCALE", "1"), 0.001, 100),
    )


def _from_file(dotenv: Path | None) -> dict[str, str]:
    if dotenv is None or not dotenv.is_file():
        return {}
    return {name: value for name, value in dotenv_values(dotenv).items() if value is not None}


def _given(values: Mapping[str, str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for name, value in values.items():
        if not name.startswith("INKLING_"):
            continue
        known = name.removesuffix("_FILE") if name not in NAMES else name
        if known not in NAMES:
            near = difflib.get_close_matches(name, NAMES, n=1)
            hint = f" Did you mean {near[0]}?" if near else f" Known are {', '.join(NAMES)}."
            raise SettingError(f"{name} is not a setting of Inkling.{hint}")
        given[known] = value if known == name else _read(name, value)
    return {name: value.strip() for name, value in given.items() if value.strip()}


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingError(f"{name} names a file that cannot be read: {path} ({error})") from None


def _words(value: str) -> list[str]:
    return [word.strip() for word in value.split(",") if word.strip()]


def _keys(value: str) -> tuple[str, ...]:
    keys = tuple(_words(value))
    if any(len(key) < 32 for key in keys):
        raise SettingError(
            "INKLING_SECRET_KEYS holds a key shorter than 32 characters; make one with: openssl rand -hex 32"
        )
    return keys


def _drain_key(given: Mapping[str, str]) -> str | None:
    key = given.get("INKLING_DRAIN_KEY")
    if key is not None and len(key) < 16:
        raise SettingError("INKLING_DRAIN_KEY must have 16 characters or more; make one with: openssl rand -hex 32")
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
    if not usable or parts.query or parts.fragment or parts.username:
        raise SettingError(f"{name} must be an address like https://mail.example.com, not {value!r}")
    return value.rstrip("/")


def _database_url(value: str | None, data_dir: Path) -> str:
    if value is None:
        return f"sqlite:///{data_dir / 'inkling.sqlite3'}"
    if value.startswith("sqlite:///"):
        return value
    scheme, _, rest = value.partition("://")
    if scheme in ("postgresql", "postgres", "postgresql+psycopg") and rest:
        return f"postgresql+psycopg://{rest}"
    raise SettingError("INKLING_DATABASE_URL must begin with postgresql:// or sqlite:///")


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


def _file(name: str, given: Mapping[str, str]) -> Path | None:
    if name not in given:
        return None
    path = Path(given[name])
    if not path.is_file():
        raise SettingError(f"{name} names a file that is not there: {path}")
    return path
