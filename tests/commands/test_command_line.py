"""The frame of every command: exit codes, sentences instead of tracebacks, settings, help."""

import argparse
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.inkling import Inkling
from tracker.__main__ import command_of, parser


def commands(
    of: argparse.ArgumentParser | None = None, before: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its words, such as `user add`."""
    of = of or parser()
    groups = [action for action in of._actions if isinstance(action, argparse._SubParsersAction)]
    for group in groups:
        for name, inner in group.choices.items():
            yield from commands(inner, f"{before}{name} ")
    if not groups:
        yield before.strip(), of


COMMANDS = dict(commands())


def test_the_commands_others_build_on() -> None:
    promised = {"serve", "edge", "web", "worker", "migrate", "demo", "rewrite", "inspect", "judge", "check"}
    promised |= {"user add", "user list", "user disable", "token add", "token list", "token revoke"}
    promised |= {"policy set", "account confirm"}
    assert promised <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_its_function_and_help(name: str) -> None:
    function = command_of(COMMANDS[name].get_default("command"))
    assert function.__doc__
    assert COMMANDS[name].description


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("sell",),
        ("user",),
        ("user", "add"),
        ("user", "add", "alice@seller.example"),
        ("user", "add", "alice@seller.example", "--name", "Alice", "--role", "boss"),
        ("token", "add", "--user", "alice@seller.example"),
        ("policy", "set", "loose"),
        ("serve", "--port", "http"),
        ("web", "--port", "65536"),
        ("inspect",),
        ("check", "everything"),
    ],
    ids=" ".join,
)
def test_words_that_are_off_exit_with_2(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        parser().parse_args(words)
    assert left.value.code == 2
    assert capsys.readouterr().err.startswith("usage: inkling")


def test_words_that_are_off_exit_with_2_as_a_process(new_inkling: Inkling) -> None:
    command = new_inkling.command("sell")
    done = subprocess.run(command, env=new_inkling.environ(), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert b"Traceback" not in done.stderr
    assert not (new_inkling.folder / "data").exists()


@pytest.mark.parametrize("words", [("user", "list"), ("edge", "--port", "0"), ("check",)], ids=" ".join)
def test_an_unknown_setting_stops_every_command(inkling: Inkling, words: tuple[str, ...]) -> None:
    done = inkling(*words, DATABSE_URL="sqlite:////nowhere/x")
    assert done.code == 1
    assert done.sentence == "INKLING_DATABSE_URL is not a setting of Inkling. Did you mean INKLING_DATABASE_URL?"


def test_a_wrong_setting_is_one_sentence(inkling: Inkling) -> None:
    done = inkling.in_process("migrate", EVIDENCE_DAYS="31")
    assert (done.code, done.sentence) == (1, "INKLING_EVIDENCE_DAYS must lie between 0 and 30, not 31")


def test_dotenv_is_read_where_one_stands(inkling: Inkling) -> None:
    (inkling.folder / ".env").write_text("INKLING_EVIDENCE_DAYS=31\n")
    assert "INKLING_EVIDENCE_DAYS" in inkling.in_process("migrate").sentence
    assert "INKLING_EVIDENCE_DAYS" in inkling.in_process("edge", "--port", "0").sentence


def test_a_data_folder_that_cannot_be(inkling: Inkling, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "INKLING_DATA_DIR" in inkling.in_process("user", "list", DATA_DIR=str(tmp_path / "file")).sentence
    assert "INKLING_DATA_DIR" in inkling.in_process("check", DATA_DIR=str(tmp_path / "file" / "below")).sentence


def test_a_key_file_that_was_spoilt(new_inkling: Inkling) -> None:
    (new_inkling.folder / "data").mkdir()
    (new_inkling.folder / "data" / "secret-keys").write_text("short\n")
    for words in (("user", "list"), ("inspect", "https://x.example/o/a.gif"), ("check",)):
        done = new_inkling.in_process(*words)
        assert done.code == 1
        assert "secret-keys" in done.sentence


def test_a_database_that_does_not_answer(inkling: Inkling) -> None:
    for words in (("user", "list"), ("migrate",)):
        done = inkling.in_process(*words, DATABASE_URL="postgresql://u:hush@127.0.0.1:1/n")
        assert done.code == 1
        assert done.sentence.startswith("The database cannot be used: ")
        assert "hush" not in done.err


def test_a_database_that_is_none(new_inkling: Inkling) -> None:
    (new_inkling.folder / "data").mkdir()
    (new_inkling.folder / "data" / "inkling.sqlite3").write_bytes(
        b"not a database, but long enough to be looked at" * 40
    )
    assert new_inkling.in_process("user", "list").sentence == "The database cannot be used: file is not a database"


def test_migrate_says_where_the_database_is(inkling_on_both: Inkling) -> None:
    for _ in range(2):
        done = inkling_on_both.in_process("migrate")
        assert (done.code, done.err) == (0, "")
        assert done.text.startswith("The database is at revision ")
