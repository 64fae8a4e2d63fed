"""Programs of the product as processes of their own, without waiting a second each until all of it is imported.

An interpreter that has imported the product stands ready and forks: the child gets the words, environment, folder and
streams that it would have been started with, and goes on as `python -m …` or `python -c …` does, to the end of the interpreter.
What else a test does with a process it does with this one, which is a child of the test.
"""

import atexit
import ctypes
import gc
import importlib
import json
import os
import runpy
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from types import ModuleType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
IMPORTED = (
    "tracker.serve", "tracker.commands.serving", "alembic.command", "psycopg", "sqlalchemy.dialects.sqlite.pysqlite",
    "sqlalchemy.dialects.postgresql.psycopg", "uvicorn.lifespan.on", "uvicorn.loops.uvloop",
    "uvicorn.protocols.http.httptools_impl",
)  # fmt: skip
PR_SET_CHILD_SUBREAPER = 36  # prctl(2)
_LARGEST = 1 << 20


def start_python(
    words: Sequence[str], *, env: Mapping[str, str] | None = None, **options: Any
) -> "subprocess.Popen[Any]":
    """`subprocess.Popen([sys.executable, *words], …)`: flags of Python, then ``-m module`` or ``-c code``, then arguments."""
    command = [sys.executable, *words]
    begin = _ForkedPython if sys.platform == "linux" else subprocess.Popen
    return begin(command, env=dict(os.environ if env is None else env), **options)


def run_python(
    words: Sequence[str], *, stdin: Any = None, timeout: float = 60, **options: Any
) -> "subprocess.CompletedProcess[Any]":
    """`subprocess.run([sys.executable, *words], capture_output=True, …)`."""
    streams: dict[str, Any] = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with start_python(words, **streams, **options) as process:
        try:
            out, err = process.communicate(stdin, timeout)
        except BaseException:
            process.kill()
            raise
    return subprocess.CompletedProcess(process.args, process.returncode, out, err)


class _ForkedPython(subprocess.Popen[Any]):
    """Differs in where its process comes from."""

    def _execute_child(
        self, args: list[str], executable: None, preexec_fn: None, close_fds: bool, pass_fds: tuple[int, ...],
        cwd: Path | str | None, env: dict[str, str], startupinfo: None, creationflags: int, shell: bool, *pipes: Any
    ) -> None:  # fmt: skip
        theirs = (pipes[0], pipes[3], pipes[5])  # of standard input, output and error; -1 where it is ours
        where = next(index for index, word in enumerate(args) if word in ("-m", "-c"))
        order = {"words": args[where:], "folder": str(cwd or Path.cwd()), "environ": env}
        streams = [own if stream == -1 else stream for own, stream in enumerate(theirs)]
        self.pid = _interpreter(*args[1:where]).fork(order, streams)
        self._child_created = True
        self._close_pipe_fds(*pipes[:6])  # type: ignore[attr-defined]


class _Interpreter:
    """The process that forks, as long as ours is there."""

    def __init__(self, flags: Sequence[str]) -> None:
        self._lock = Lock()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        passed = ("PATH", "SSL_CERT_FILE", "TMPDIR", "PYTHONPYCACHEPREFIX")
        with theirs:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    *flags,
                    "-P",
                    __file__,
                    str(theirs.fileno()),
                ],  # -P: the files beside this one are no modules
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,  # pipes, as the streams of its children are
                env={name: os.environ[name] for name in passed if name in os.environ} | {"PYTHONPATH": str(ROOT)},
                pass_fds=[theirs.fileno()],
            )

    def fork(self, order: dict[str, Any], streams: list[int]) -> int:
        """The number of the new process, which is a child of ours: its own parent ends at once, and we take the orphan in."""
        with self._lock:
            _take_in_orphans(True)
            try:
                socket.send_fds(self._channel, [json.dumps(order).encode()], streams)
                answer = self._channel.recv(_LARGEST)
            finally:
                _take_in_orphans(False)
        assert answer, "the interpreter that forks has ended"
        return int(answer)

    def close(self) -> None:
        self._channel.close()
        self._process.communicate()


@cache
def _interpreter(*flags: str) -> _Interpreter:
    interpreter = _Interpreter(flags)
    atexit.register(interpreter.close)
    return interpreter


def _take_in_orphans(yes: bool) -> None:
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def _next_child(channel: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """Returns in each child, with what it is to be; never in this process, which ends with the one that asks."""
    while True:
        message, streams, _, _ = socket.recv_fds(channel, _LARGEST, 3)
        if not message:
            os._exit(0)
        number = _fork_orphan()
        if number is None:
            return json.loads(message), streams
        channel.send(str(number).encode())
        for stream in streams:
            os.close(stream)


def _fork_orphan() -> int | None:
    """The number of a new process that has lost its parent; None in that process."""
    reader, writer = os.pipe()
    between = os.fork()
    if between == 0:
        number = os.fork()
        if number == 0:
            os.close(reader)
            os.close(writer)
            return None
        os.write(writer, str(number).encode())
        os._exit(0)
    os.waitpid(between, 0)
    number = int(os.read(reader, 20))
    os.close(reader)
    os.close(writer)
    return number


def _become(words: list[str], folder: str, environ: dict[str, str], streams: list[int]) -> None:
    """As an interpreter that has just been started with these words."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(environ)
    os.chdir(folder)
    sys.path.insert(0, folder)
    sys.argv = ["-c", *words[2:]]
    if words[0] == "-m":
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        module = sys.modules["__main__"] = ModuleType("__main__")
        exec(compile(words[1], "<string>", "exec"), module.__dict__)


if __name__ == "__main__":
    for _name in IMPORTED:
        importlib.import_module(_name)
    gc.freeze()
    with socket.socket(fileno=int(sys.argv[1])) as _channel:
        _order, _streams = _next_child(_channel)
    _become(**_order, streams=_streams)
