"""`kill -9` under load: every hit that was answered is on disk. Trap G27."""

import threading
from pathlib import Path

import pytest

from pixel.spool import SpoolReader
from pixel.tokens import Tokens, new_public_id, open_path
from tests.pixel.edge_client import ask_until_the_end
from tests.pixel.edge_server import KEY, edge_process
from tests.servers.processes import wait_until

CLIENTS = 8


@pytest.mark.parametrize("answers_before_the_kill", [1, 40, 400, 1500])
def test_g27_every_answered_hit_survives_the_kill(tmp_path: Path, answers_before_the_kill: int) -> None:
    answered: list[str] = []
    with edge_process(tmp_path, {"INKLING_HITS_PER_SOURCE": "0"}, timeout=20) as edge:
        clients = [
            threading.Thread(target=ask_until_the_end, args=(edge.port, Tokens([KEY]), answered))
            for _ in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        wait_until(lambda: len(answered) >= answers_before_the_kill)
        edge.kill()
        for client in clients:
            client.join(20)
    with SpoolReader(tmp_path / "spool.sqlite3") as reader:
        written = [hit.token for hit in reader.after(0, 1_000_000)]
    assert len(answered) >= answers_before_the_kill
    assert set(answered) <= set(written)
    assert len(written) == len(set(written)), "no hit is there twice"
    assert len(written) - len(answered) <= CLIENTS, "at most the ones on their way are there without an answer"


def test_a_killed_edge_starts_again_on_the_same_spool(tmp_path: Path) -> None:
    tokens = Tokens([KEY])
    made = [tokens.open(new_public_id()) for _ in range(3)]
    for token in made:
        with edge_process(tmp_path) as edge:
            assert edge.ask(open_path(token)).status == 200
            edge.kill()
    with SpoolReader(tmp_path / "spool.sqlite3") as reader:
        assert [hit.token for hit in reader.after(0)] == made


def test_a_second_edge_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    with edge_process(tmp_path) as edge:
        with pytest.raises(AssertionError, match="another process writes"), edge_process(tmp_path):
            pass
        assert edge.ask(open_path(Tokens([KEY]).open(new_public_id()))).status == 200
        with edge.reader() as reader:
            assert len(reader.after(0)) == 1
