"""`kill -9` under load, as often as asked: every hit that was answered is in the spool."""

import random
import tempfile
import threading
import time
from pathlib import Path

from pixel.spool import SpoolReader
from pixel.tokens import Tokens
from tests.pixel.edge_client import ask_until_the_end
from tests.pixel.edge_server import KEY, edge_process

CLIENTS = 16


def kill_rounds(rounds: int) -> int:
    """Prints a line per ten rounds and the sum; 1 when an answered hit is missing or a hit is there twice."""
    answered: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(1, rounds + 1):
            _one_round(Path(folder), answered)
            missing, double = _compare(Path(folder), answered)
            if missing or double:
                print(f"round {turn}: {missing} answered hits are missing, {double} are there twice")
                return 1
            if turn % 10 == 0:
                print(f"round {turn}: {len(answered)} answered hits, all there", flush=True)
    print(f"{rounds} kills, {len(answered)} answered hits, none missing, none twice")
    return 0


def _one_round(folder: Path, answered: list[str]) -> None:
    """The same spool goes on from round to round, as it would after a crash."""
    with edge_process(folder, {"INKLING_HITS_PER_SOURCE": "0"}, timeout=20) as edge:
        tokens = Tokens([KEY])
        clients = [
            threading.Thread(target=ask_until_the_end, args=(edge.port, tokens, answered)) for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        time.sleep(random.uniform(0.05, 0.6))
        edge.kill()
        for client in clients:
            client.join()


def _compare(folder: Path, answered: list[str]) -> tuple[int, int]:
    with SpoolReader(folder / "spool.sqlite3") as reader:
        written = [hit.token for hit in reader.after(0, 10_000_000)]
    return len(set(answered) - set(written)), len(written) - len(set(written))
