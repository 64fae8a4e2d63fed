"""Keys: nothing starts without one that the database was made with, and `inkling key` adds and gives up."""

from pathlib import Path

import pytest
from sqlmodel import select

from tests.commands.inkling import Inkling
from tests.servers import free_port
from tracker.mail.account_servers import set_secret, smtp_server
from tracker.models import Account, User
from tracker.runtime.database import Database

PASSWORD = b"correct horse battery\n"
OLD = "old-key-0123456789-abcdefghijklmnopqrstuvwxyz"
NEW = "new-key-9876543210-zyxwvutsrqponmlkjihgfedcba"


@pytest.fixture
def used(inkling_on_both: Inkling) -> Inkling:
    """An installation with a person and an account, whose keys are in the file."""
    inkling = inkling_on_both
    words = ("user", "add", "alice@seller.example", "--name", "Alice", "--password-stdin")
    assert inkling.in_process(*words, stdin=PASSWORD).code == 0
    context = inkling.context()
    with context.database.session_scope() as session:
        user = session.exec(select(User)).one()
        account = Account(user_id=user.id or 0, address=user.email, smtp_host="h", smtp_port=25, smtp_security="none")
        account.smtp_login = "alice"
        set_secret(context, account, "smtp", "sesame")
        session.add(account)
    context.database.close()
    return inkling


def key_file(inkling: Inkling) -> Path:
    return inkling.folder / "data" / "secret-keys"


def secret(inkling: Inkling) -> str:
    context = inkling.context()
    try:
        with context.database.reading() as session:
            return smtp_server(context, session.exec(select(Account)).one()).secret
    finally:
        context.database.close()


def test_without_its_key_nothing_starts_and_it_is_said_what_to_restore(used: Inkling) -> None:
    key = key_file(used).read_text()
    key_file(used).unlink()
    tried = [used("serve", "--port", "0")]
    tried += [
        used.in_process(*words) for words in (("user", "list"), ("worker",), ("web", "--port", "0"), ("gateway",))
    ]
    for done in tried:
        assert done.code == 1
        assert f"Restore the file {key_file(used)} from your backup" in done.sentence
        assert not key_file(used).exists(), "a new key would only hide that the old one is gone"
    key_file(used).write_text(key)
    assert used.in_process("user", "list", stdin=b"").code == 0


def test_another_key_in_its_place_or_in_the_environment_does_not_help(used: Inkling) -> None:
    key = key_file(used).read_text().strip()
    key_file(used).write_text(f"{NEW}\n")
    assert "is missing" in used.in_process("user", "list", stdin=b"").sentence
    assert "Restore INKLING_SECRET_KEYS" in used.in_process("user", "list", stdin=b"", SECRET_KEYS=NEW).sentence
    assert used.in_process("user", "list", stdin=b"", SECRET_KEYS=f"{NEW},{key}").code == 0
    key_file(used).write_text(f"{key}\n")
    assert "is missing" in used.in_process("user", "list", stdin=b"").sentence, "the new one has been in use since"


def test_check_says_so_too(used: Inkling) -> None:
    key_file(used).write_text(f"{NEW}\n")
    lines = used.in_process("check", stdin=b"", TRACKING_URL=f"http://127.0.0.1:{free_port()}").text.splitlines()
    assert any(line.startswith("WRONG keys: The secret key") for line in lines)


def test_a_key_is_added_and_an_old_one_given_up(used: Inkling) -> None:
    (before,) = used.in_process("key", "list", stdin=b"").lines
    assert before[1] == "signs"
    assert "1 stored secrets are sealed" in used.in_process("key", "add", stdin=b"").text
    assert key_file(used).stat().st_mode & 0o777 == 0o600
    assert [line[1] for line in used.in_process("key", "list", stdin=b"").lines] == ["signs", "opens"]
    assert secret(used) == "sesame"
    assert (
        "This key signs"
        in used.in_process("key", "retire", used.in_process("key", "list", stdin=b"").lines[0][0], stdin=b"").sentence
    )
    assert "no such key" in used.in_process("key", "retire", "abcdef", stdin=b"").sentence
    assert "lead nowhere from now on" in used.in_process("key", "retire", before[0], stdin=b"").text
    assert [line[1] for line in used.in_process("key", "list", stdin=b"").lines] == ["signs", "retired"]
    assert secret(used) == "sesame", "it was sealed anew before"
    assert used.in_process("user", "list", stdin=b"").code == 0


def test_a_key_that_is_lost_for_good_is_given_up(used: Inkling) -> None:
    key_file(used).unlink()
    missing = used.in_process("user", "list", stdin=b"").sentence.rpartition("inkling key retire ")[2]
    key_file(used).write_text(f"{NEW}\n")
    assert "1 stored secrets cannot be opened" in used.in_process("key", "retire", missing, stdin=b"").text
    assert used.in_process("user", "list", stdin=b"").code == 0


def test_keys_of_the_environment_are_changed_there(inkling: Inkling) -> None:
    inkling.settings["SECRET_KEYS"] = f"{NEW},{OLD}"
    assert inkling.in_process("user", "list", stdin=b"").code == 0
    assert "INKLING_SECRET_KEYS: change them there" in inkling.in_process("key", "add", stdin=b"").sentence
    old = inkling.in_process("key", "list", stdin=b"").lines[1][0]
    inkling.settings["SECRET_KEYS"] = NEW
    assert "is missing" in inkling.in_process("user", "list", stdin=b"").sentence
    assert inkling.in_process("key", "retire", old, stdin=b"").code == 0
    assert inkling.in_process("user", "list", stdin=b"").code == 0


def test_the_database_holds_no_key(used: Inkling) -> None:
    key = key_file(used).read_text().strip()
    context = used.context()
    if not context.database.is_sqlite:
        pytest.skip("its files are the server's")
    context.database.close()
    assert key.encode() not in (used.folder / "data" / "inkling.sqlite3").read_bytes()


def test_the_database_file_is_ours_alone_also_where_it_was_not(new_inkling: Inkling) -> None:
    (new_inkling.folder / "data").mkdir()
    (new_inkling.folder / "data" / "inkling.sqlite3").touch(0o644)
    assert new_inkling.in_process("user", "list").code == 0
    for file in (new_inkling.folder / "data").glob("inkling.sqlite3*"):
        assert file.stat().st_mode & 0o777 == 0o600, file
    assert isinstance(new_inkling.context().database, Database)
