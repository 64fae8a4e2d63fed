"""Ends what a run of the tests has started when the run itself is killed: servers, browsers, programs of the product.

A process of its own (standard library alone) looks which processes descend from the run, and remembers them, so that those
which detach themselves are known, too. It ends when the run does, however that happened, and takes along what is left then.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from select import select

LOOK_EVERY = 0.5
"""Seconds between two looks."""
Process = tuple[int, bytes]
"""Number and start time: numbers are used again."""


class Watchdog:
    """The watchdog of this process. It learns of our end by the pipe that only we hold open; ``folder`` goes with us."""

    def __init__(self, folder: Path | None = None) -> None:
        command = [sys.executable, __file__, str(os.getpid()), *([str(folder)] if folder else [])]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def end(self) -> None:
        """As when the run ends: what is left of it ends now."""
        self._process.communicate()


def _processes() -> dict[int, Process]:
    """Parent and start time of every process there is (proc(5), ``stat``: fields 4 and 22)."""
    processes = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat", "rb", buffering=0) as file:
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue  # it has just ended
        processes[int(name)] = (int(fields[1]), fields[19])
    return processes


def _descendants(root: int, known: set[Process]) -> set[Process]:
    """Those of ``known`` that still run, and all that descend from them or from ``root``; the watchdog itself is none."""
    processes = _processes()
    family = {number for number, started in known if number in processes and processes[number][1] == started} | {root}
    size = 0
    while size < len(family):
        size = len(family)
        family |= {number for number, (parent, _) in processes.items() if parent in family}
    return {(number, processes[number][1]) for number in family - {root, os.getpid()} if number in processes}


def watch(root: int) -> None:
    known: set[Process] = set()
    while not select([sys.stdin], [], [], LOOK_EVERY)[0]:
        known = _descendants(root, known)
    time.sleep(LOOK_EVERY)  # what ends by itself does so now
    for number, _ in _descendants(root, known):
        try:
            os.kill(number, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    watch(int(sys.argv[1]))
    for folder in sys.argv[2:]:
        shutil.rmtree(folder, ignore_errors=True)
