"""A run of the tests that is killed in the middle leaves no server behind."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import wait_until

ROOT = Path(__file__).resolve().parents[1]
_TEST = """
import subprocess, sys, time
from pathlib import Path
from tests.servers import smtp_sink

def test_it_is_killed(dovecot):
    started = [sys.executable, "-c", "import os, time; os.setsid(); print(os.getpid(), flush=True); time.sleep(600)"]
    detached = subprocess.run(
        ["/bin/sh", "-c", '"$0" "$@" > detached.txt & sleep 1', *started], cwd=Path(__file__).parent, check=True
    )
    Path(__file__).with_name("server.txt").write_text((dovecot.folder / "run/master.pid").read_text())
    time.sleep(600)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_a_killed_run_takes_its_servers_along(tmp_path: Path) -> None:
    tests = tmp_path / "test_killed.py"
    tests.write_text(_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "tests.conftest", "-c", str(ROOT / "pyproject.toml")]
    run = subprocess.Popen([*command, f"--rootdir={tmp_path}", str(tests)], cwd=ROOT, stdout=subprocess.DEVNULL)
    try:
        numbers = wait_until(lambda: _numbers(tmp_path), 60)
        assert all(map(_is_running, numbers))
        os.kill(run.pid, signal.SIGKILL)
        wait_until(lambda: not any(map(_is_running, numbers)))
    finally:
        run.kill()
        run.wait()


def _numbers(folder: Path) -> list[int]:
    """Dovecot's master process, and one that has detached itself; empty until both are there."""
    texts = [path.read_text().strip() for path in (folder / "server.txt", folder / "detached.txt") if path.exists()]
    return [int(text) for text in texts] if len(texts) == 2 and all(texts) else []


def _is_running(number: int) -> bool:
    try:
        return Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
