"""The folder in which processes of one data folder hear of news: a socket each."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

WAKE_FOLDER = "wake"
"""In the data folder: a socket for each process that wants to hear of news on it."""
WRITTEN = b"edge:spool"
"""What the edge tells those processes after hits are on disk."""
_LONGEST_ADDRESS = 100
"""Bytes that a path may have as a socket's address (unix(7): 108)."""


@contextmanager
def socket_address(path: Path) -> Iterator[str]:
    """The path as a socket's address; where it is too long for one, by way of its open folder (Linux)."""
    if len(os.fsencode(path)) <= _LONGEST_ADDRESS:
        yield str(path)
        return
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def notify_processes(data_dir: Path, message: bytes, but: str = "") -> None:
    """Sends a datagram to every process that listens on this data folder, ``but`` one socket. Never waits, never raises: it is a
    hint.

    The socket of a process that was killed is removed.
    """
    try:
        names = [name for name in os.listdir(data_dir / WAKE_FOLDER) if name != but]
    except OSError:
        return
    if not names:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.setblocking(False)
        for name in names:
            path = data_dir / WAKE_FOLDER / name
            try:
                with socket_address(path) as address:
                    sender.sendto(message, address)
            except ConnectionRefusedError:
                with suppress(OSError):
                    path.unlink()
            except OSError:
                continue
