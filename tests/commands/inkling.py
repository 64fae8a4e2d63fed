"""The command line as people meet it: a process of its own, on a folder of the test's own, with nothing else in its environment."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from io import BytesIO, TextIOWrapper
from pathlib import Path
from types import MappingProxyType
from unittest.mock import patch

from tests.servers.forked_python import run_python, start_python
from tests.servers.processes import end, listening, wait_until
from tracker.__main__ import main
from tracker.runtime.context import AppContext, create_context
from tracker.runtime.settings import read_settings

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[list[str]]:
        """Standard output: lines of columns."""
        return [line.split("\t") for line in self.text.splitlines()]

    @property
    def sentence(self) -> str:
        """What it complained of: one line on standard error, and no traceback."""
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        return self.err.rstrip("\n")


@dataclass
class Inkling:
    """Runs `python -m tracker …` with these settings (without their prefix), in the data folder's parent."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    def __call__(self, *words: str, stdin: bytes = b"", **settings: str) -> Done:
        done = run_python(self.python_words(*words), stdin=stdin, cwd=self.folder, env=self.environ(settings))
        return Done(done.returncode, done.stdout, done.stderr.decode())

    def in_process(self, *words: str, stdin: bytes = b"", **settings: str) -> Done:
        """The same within this process, which is quicker; for the variants of what was run as a process once."""
        errors = ("surrogateescape", "strict", "backslashreplace")  # as a process begins
        buffers = (BytesIO(stdin), BytesIO(), BytesIO())
        streams = [
            TextIOWrapper(b, "utf-8", errors=e, write_through=True) for b, e in zip(buffers, errors, strict=True)
        ]
        before, folder = (sys.stdin, sys.stdout, sys.stderr), Path.cwd()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("INKLING_")}
        with patch.dict(os.environ, environ | self.environ(settings), clear=True):
            try:
                os.chdir(self.folder)
                sys.stdin, sys.stdout, sys.stderr = streams
                code = main(words)
            finally:
                sys.stdin, sys.stdout, sys.stderr = before
                os.chdir(folder)
        return Done(code, buffers[1].getvalue(), buffers[2].getvalue().decode())

    @contextmanager
    def running(self, *words: str, **settings: str) -> Iterator["Running"]:
        """A command that goes on until a signal."""
        process = start_python(
            self.python_words(*words), stderr=subprocess.PIPE, cwd=self.folder, env=self.environ(settings)
        )
        running = Running(process)
        reader = threading.Thread(target=running.listen)
        reader.start()
        try:
            yield running
        finally:
            end(process, signal.SIGTERM)
            reader.join()
            assert process.stderr
            process.stderr.close()

    def context(self) -> AppContext:
        """The context that the commands work on; close its database."""
        environ = {name: value for name, value in self.environ().items() if name.startswith("INKLING_")}
        return create_context(read_settings(environ, dotenv=None))

    def command(self, *words: str) -> list[str]:
        """The words of a process that imports all it needs by itself."""
        return [sys.executable, *self.python_words(*words)]

    def python_words(self, *words: str) -> list[str]:
        """What Python is told; a warning ends it."""
        return ["-W", "error", "-m", "tracker", *words]

    def environ(self, settings: Mapping[str, str] = MappingProxyType({})) -> dict[str, str]:
        """All that such a process knows of the world."""
        ours = {"DATA_DIR": str(self.folder / "data"), **self.settings, **settings}
        return {
            **{name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ},
            "PYTHONPATH": str(ROOT),
            **{name if name == "LOGLEVEL" else f"INKLING_{name}": value for name, value in ours.items()},
        }


@dataclass
class Running:
    """A command at work."""

    process: subprocess.Popen[bytes]
    _heard: list[str] = field(default_factory=list)

    def listen(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._heard.append(line.decode())

    @property
    def err(self) -> str:
        return "".join(self._heard)

    def end(self, number: int) -> int:
        """Sends a signal; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(30)

    def wait_for(self, word: str) -> None:
        """Until it said this on standard error."""
        wait_until(lambda: word in self.err or self.process.poll() is not None)
        assert word in self.err, self.err

    def wait_for_ports(self, *ports: int) -> None:
        """Until it listens on all of them."""
        wait_until(lambda: all(map(listening, ports)) or self.process.poll() is not None)
        assert self.process.poll() is None, self.err
