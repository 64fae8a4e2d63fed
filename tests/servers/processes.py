"""What every real server of the tests stands on: ports, folders, users, certificates, waiting."""

import atexit
import getpass
import grp
import os
import pwd
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest

T = TypeVar("T")

_given_ports: set[int] = set()

# name → where to look beside PATH, and the package that brings it
PROGRAMS = {
    "dovecot": ("/usr/sbin", "dovecot-imapd dovecot-pop3d"),
    "doveconf": ("/usr/bin", "dovecot-core"),
    "initdb": ("/usr/lib/postgresql/*/bin", "postgresql"),
    "chromium-headless-shell": ("/usr/bin", "chromium-headless-shell"),
    "chromium": ("/usr/bin", "chromium"),
    "nginx": ("/usr/sbin", "nginx-light"),
    "curl": ("/usr/bin", "curl"),
    "systemd-analyze": ("/usr/bin", "systemd"),
}


def require(*names: str) -> Path:
    """The first of these programs that is here. None is: fails in CI (env CI=true), elsewhere skips; names the package."""
    program = next(filter(None, map(_program, names)), None)
    if program is None:
        packages = " or ".join(PROGRAMS[name][1] for name in names)
        unavailable(f"{names[-1]} is not installed; install the package(s) {packages}")
    return program


def _program(name: str) -> Path | None:
    folder, _package = PROGRAMS[name]
    # the distribution's own first: a stray one on PATH may be of another make
    for candidate in sorted(Path("/").glob(f"{folder[1:]}/{name}"), reverse=True):
        if os.access(candidate, os.X_OK):
            return candidate
    path = shutil.which(name)
    return Path(path) if path else None


def unavailable(reason: str) -> NoReturn:
    """A server is missing or unfit: a failure in CI, elsewhere a skip."""
    if os.environ.get("CI", "").lower() == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nobody listens on; never the same one twice in a run, whichever of pytest's workers asks.

    It lies below the ports that the kernel gives to outgoing connections, so none of those can take it meanwhile.
    """
    while True:
        port = random.choice(_ports_of_this_worker())
        if port not in _given_ports and _can_listen(port):
            _given_ports.add(port)
            return port


def _ports_of_this_worker() -> range:
    """Workers share no port: what one of them was given is free to be given again until a server listens on it."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return range(20_000 + worker, 32_768, int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1")))


def _can_listen(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def wait_until(predicate: Callable[[], T], seconds: float = 30) -> T:
    """The first true answer of `predicate`; AssertionError when there is none within `seconds`: on a slow machine everything
    takes long, what never comes is the fault. What takes long is asked less often: it needs the processor more than we do."""
    began = time.monotonic()
    while True:
        answer = predicate()
        if answer:
            return answer
        waited = time.monotonic() - began
        if waited > seconds:
            raise AssertionError(f"not within {seconds} s: {predicate!r}")
        time.sleep(0.02 if waited < 0.5 else 0.04)


def listening(port: int) -> bool:
    """Does somebody accept connections on 127.0.0.1 at `port`?"""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@dataclass(frozen=True)
class Account:
    """A user of this machine that a server may run as."""

    user: str
    group: str
    uid: int
    gid: int

    @property
    def is_me(self) -> bool:
        return self.uid == os.geteuid()


def unprivileged(*preferred: str) -> Account:
    """Who runs a server that refuses root: ourselves, or for root the first of `preferred` that exists, else nobody."""
    names = [getpass.getuser()] if os.geteuid() else [*preferred, "nobody"]
    for name in names:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name, grp.getgrgid(entry.pw_gid).gr_name, entry.pw_uid, entry.pw_gid)
    unavailable(f"no user of this machine is called {' or '.join(names)}")


@contextmanager
def server_folder(name: str, owner: Account, parent: Path | None = None) -> Iterator[Path]:
    """A temporary folder owned by `owner`, which other users may enter (pytest's own are closed to them)."""
    folder = Path(tempfile.mkdtemp(prefix=f"inkling-{name}-", dir=parent))
    try:
        folder.chmod(0o755)
        if not owner.is_me:
            os.chown(folder, owner.uid, owner.gid)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def memory_folder(room: int) -> Path | None:
    """Where files are kept in memory alone, if this machine has such a place with `room` bytes to spare."""
    parent = Path("/dev/shm")
    if not os.access(parent, os.W_OK) or shutil.disk_usage(parent).free < room:
        return None
    return parent


def forever_folder(name: str) -> Path:
    """A temporary folder that goes when the interpreter ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"inkling-{name}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def end(process: subprocess.Popen[bytes], signal: int, seconds: float = 15) -> None:
    """Asks a child of ours to stop, then insists."""
    if process.poll() is None:
        process.send_signal(signal)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
