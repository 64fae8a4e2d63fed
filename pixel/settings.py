"""Settings of the edge: environment in, frozen object out. A wrong value stops the program with its name."""

import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from pixel import environment
from pixel.environment import Network
from pixel.limits import Budgets
from pixel.spool_file import spool_path

KEY_FILE = "secret-keys"


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
    tracking_url: str = environment.DEFAULT_URL
    base_url: str = environment.DEFAULT_URL
    budgets: Budgets = field(default_factory=Budgets)
    worker: int = 1
    workers: int = 1
    """Which of how many processes of this edge we are."""

    @property
    def own_hosts(self) -> frozenset[str]:
        return frozenset(urlsplit(url).hostname or "" for url in (self.tracking_url, self.base_url))

    @property
    def spool_path(self) -> Path:
        return spool_path(self.data_dir, self.worker)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> "EdgeSettings":
        """Reads the `INKLING_…` variables; `…_FILE` names a file that holds the value.

        With no secret keys given, a file of them is made in the data folder. Raises SettingError.
        """
        read = partial(environment.value, environ)
        data_dir = Path(read("INKLING_DATA_DIR") or "data")
        base_url = environment.base_url("INKLING_BASE_URL", read("INKLING_BASE_URL") or environment.DEFAULT_URL)
        return cls(
            data_dir=data_dir,
            keys=_keys(environ, data_dir),
            trusted_proxies=environment.networks("INKLING_TRUSTED_PROXIES", read("INKLING_TRUSTED_PROXIES")),
            drain_key=environment.drain_key("INKLING_DRAIN_KEY", read("INKLING_DRAIN_KEY")),
            tracking_url=environment.url("INKLING_TRACKING_URL", read("INKLING_TRACKING_URL") or base_url),
            base_url=base_url,
            budgets=_budgets(environ),
        )


def load_or_make_keys(data_dir: Path) -> tuple[str, ...]:
    """The keys of the file `secret-keys` in the data folder, newest first, one per line or separated by commas.

    The file is made with mode 0600 when there is none. Any number of processes may start at once: all get the same
    keys. Raises SettingError when the file holds no usable key.
    """
    path = data_dir / KEY_FILE
    if not path.exists():
        _make_key_file(path)
    return environment.secret_keys(str(path), path.read_text("utf-8"))


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


def _keys(environ: Mapping[str, str], data_dir: Path) -> tuple[str, ...]:
    name = "INKLING_SECRET_KEYS"
    if name not in environ and f"{name}_FILE" not in environ:
        return load_or_make_keys(data_dir)
    return environment.secret_keys(name, environment.value(environ, name))


def _budgets(environ: Mapping[str, str]) -> Budgets:
    names = {
        "per_source": "INKLING_HITS_PER_SOURCE",
        "per_token": "INKLING_HITS_PER_TOKEN",
        "per_copy": "INKLING_HITS_PER_COPY",
    }
    hits = {part: environment.hits(name, environment.value(environ, name)) for part, name in names.items()}
    return Budgets(**{part: number for part, number in hits.items() if number is not None})
