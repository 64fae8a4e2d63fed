"""Archive and erasure from the command line, on both databases."""

import json
from io import BytesIO
from zipfile import ZipFile

from tests.commands.inkling import Inkling
from tracker.recipients import find_or_make


def add(inkling: Inkling, address: str) -> None:
    context = inkling.context()
    context.database.migrate()
    with context.database.session_scope() as session:
        find_or_make(session, address, "Anna Petrova")
    context.database.close()


def test_archive_receipt_and_nothing_left(inkling_on_both: Inkling) -> None:
    inkling = inkling_on_both
    add(inkling, "anna@client.example")
    done = inkling.in_process("recipient", "export", "ANNA@client.example", "--language", "ru")
    assert (done.code, done.err) == (0, "")
    with ZipFile(BytesIO(done.out)) as packed:
        assert json.loads(packed.read("data.json"))["subject"]["name"] == "Anna Petrova"
        assert 'lang="ru"' in packed.read("index.html").decode()
    erased = inkling.in_process("recipient", "erase", "anna@client.example")
    receipt = json.loads(erased.text)
    assert erased.code == 0
    assert receipt["digest"].startswith("erased:")
    assert "anna" not in erased.text
    again = inkling.in_process("recipient", "export", "anna@client.example")
    assert again.code == 0, "the ledger of the erased, which tells of nobody"
    assert b"Petrova" not in ZipFile(BytesIO(again.out)).read("data.json")
    assert inkling.in_process("recipient", "replay").text == "0 erased again.\n"


def test_what_cannot_be_done_is_one_sentence(inkling: Inkling) -> None:
    done = inkling.in_process("recipient", "export", "nobody@client.example")
    assert (done.code, done.out) == (1, b"")
    assert done.sentence == "Nothing is held about nobody@client.example: there is no such recipient."
    for words in (
        ("recipient", "export", "anna"),
        ("recipient", "erase", "anna@"),
        ("recipient", "replay", "/no/such"),
    ):
        assert inkling.in_process(*words).code == 1, words
        assert inkling.in_process(*words).sentence
