"""Settings of the edge: environment in, frozen object out. A wrong value stops the program with its name."""

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from pixel.limits import Budgets
from pixel.proxies import Network
from pixel.tokens import check_keys

KEY_FILE = "secret-keys"
SPOOL_FILE = "spool.sqlite3"
MIN_DRAIN_KEY = 24
DEFAULT_URL = "http://127.0.0.1:8000"


@dataclass(frozen=True)
class EdgeSettings:
    """What the edge needs to know.

    `keys` sign and verify tokens, newest first. `tracking_url` is where pixels and links live, `base_url` where people
    use the product, which has no path; both without a slash at the end. `own_hosts` are the hosts of both.
    """

    data_dir: Path
    keys: tuple[str, ...] = field(repr=False)
    trusted_proxies: tuple[Network, ...] = ()
    drain_key: str | None = field(default=None, repr=False)
    tracking_url: str = DEFAULT_URL
    base_url: str = DEFAULT_URL
    budgets: Budgets = field(default_factory=Budgets)

    @property
    def own_hosts(self) -> frozenset[str]:
        return frozenset(urlsplit(url).hostname or "" for url in (self.tracking_url, self.base_url))

    @property
    def spool_path(self) -> Path:
        return self.data_dir / SPOOL_FILE

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "EdgeSettings":
        """Reads the `INKLING_…` variables; `…_FILE` names a file that holds the value.

        With no secret keys given, a file of them is made in the data folder. Raises ValueError that names the variable.
        """
        data_dir = Path(_value(environ, "INKLING_DATA_DIR") or "data")
        base_url = _url(environ, "INKLING_BASE_URL", DEFAULT_URL)
        if urlsplit(base_url).path:
            raise ValueError(f"INKLING_BASE_URL: {base_url!r} has a path; the pages need a host of their own")
        return cls(
            data_dir=data_dir,
            keys=_keys(environ, data_dir),
            trusted_proxies=_networks(environ, "INKLING_TRUSTED_PROXIES"),
            drain_key=_drain_key(environ),
            tracking_url=_url(environ, "INKLING_TRACKING_URL", base_url),
            base_url=base_url,
            budgets=Budgets(
                per_source=_count(environ, "INKLING_HITS_PER_SOURCE", Budgets.per_source),
                per_token=_count(environ, "INKLING_HITS_PER_TOKEN", Budgets.per_token),
            ),
        )


def load_or_make_keys(data_dir: Path) -> tuple[str, ...]:
    """The keys of the file `secret-keys` in the data folder, newest first, one per line or separated by commas.

    The file is made with mode 0600 when there is none. Any number of processes may start at once: all get the same
    keys. Raises ValueError when the file holds no usable key.
    """
    path = data_dir / KEY_FILE
    if not path.exists():
        _make_key_file(path)
    keys = _split(path.read_text("utf-8"))
    try:
        check_keys(keys)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return keys


def _make_key_file(path: Path) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{KEY_FILE}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, stat.S_IRUSR | stat.S_IWUSR)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)  # unlike a rename, fails when somebody was faster
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def _value(environ: Mapping[str, str], name: str) -> str:
    """The value of a variable or of the file that `NAME_FILE` names; empty when neither is set."""
    file_name = environ.get(f"{name}_FILE", "").strip()
    value = environ.get(name, "").strip()
    if not file_name:
        return value
    if value:
        raise ValueError(f"{name} and {name}_FILE are both set; keep one of them")
    try:
        return Path(file_name).read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{name}_FILE: {file_name} cannot be read ({type(error).__name__})") from error


def _keys(environ: Mapping[str, str], data_dir: Path) -> tuple[str, ...]:
    given = "INKLING_SECRET_KEYS" in environ or "INKLING_SECRET_KEYS_FILE" in environ
    if not given:
        return load_or_make_keys(data_dir)
    keys = _split(_value(environ, "INKLING_SECRET_KEYS"))
    try:
        check_keys(keys)
    except ValueError as error:
        raise ValueError(f"INKLING_SECRET_KEYS: {error}") from error
    return keys


def _drain_key(environ: Mapping[str, str]) -> str | None:
    key = _value(environ, "INKLING_DRAIN_KEY")
    if key and (len(key) < MIN_DRAIN_KEY or not key.isascii() or not key.isprintable() or " " in key):
        raise ValueError(f"INKLING_DRAIN_KEY: at least {MIN_DRAIN_KEY} ASCII characters without spaces are needed")
    return key or None


def _url(environ: Mapping[str, str], name: str, default: str) -> str:
    url = (_value(environ, name) or default).rstrip("/")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not parts.query and not parts.fragment
        _ = parts.port
    except ValueError:
        usable = False
    if not usable or not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError(f"{name}: {url!r} is not an address like https://track.example.com")
    return url


def _networks(environ: Mapping[str, str], name: str) -> tuple[Network, ...]:
    networks: list[Network] = []
    for text in _split(_value(environ, name)):
        try:
            networks.append(ip_network(text, strict=False))
        except ValueError as error:
            raise ValueError(f"{name}: {text!r} is not an address or network like 10.0.0.0/8") from error
    return tuple(networks)


def _count(environ: Mapping[str, str], name: str, default: int) -> int:
    text = _value(environ, name)
    if not text:
        return default
    if not text.isdecimal() or not text.isascii():
        raise ValueError(f"{name}: {text!r} is not a number of hits per minute (0 for no limit)")
    return int(text)


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for line in text.splitlines() for part in line.split(",") if part.strip())
