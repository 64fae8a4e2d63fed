"""People, tokens, policy and sending addresses from the command line, on both databases."""

import re
from pathlib import Path

import pytest
from sqlmodel import col, select

from tests.commands.inkling import Inkling
from tracker.consent.preferences import preference, workspace_pack
from tracker.consent.rules import Pack
from tracker.models import Account, ApiToken, User, UserSession
from tracker.runtime.database import now
from tracker.runtime.keyring import password_fits, token_digest

PASSWORD = b"correct horse battery\n"


def add_alice(inkling: Inkling, *more: str) -> None:
    done = inkling.in_process(
        "user", "add", "Alice@Seller.example", "--name", "Alice", "--password-stdin", *more, stdin=PASSWORD
    )
    assert (done.code, done.text, done.err) == (0, "Added alice@seller.example.\n", "")


def user_of(inkling: Inkling) -> User:
    context = inkling.context()
    try:
        with context.database.reading() as session:
            return session.exec(select(User)).one()
    finally:
        context.database.close()


def test_people_and_their_tokens_as_processes(inkling_on_both: Inkling) -> None:
    inkling = inkling_on_both
    add_alice(inkling, "--role", "admin")
    assert inkling.in_process("user", "list").lines == [["alice@seller.example", "Alice", "admin", "active"]]
    made = inkling.in_process("token", "add", "--user", "ALICE@seller.example", "--name", "CRM")
    assert (made.code, made.err) == (0, "")
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}\n", made.text)
    unknown = inkling.in_process("token", "revoke", "no-such-id")
    assert (unknown.code, unknown.sentence) == (1, "There is no token no-such-id. See: inkling token list")


def test_the_life_of_a_user(inkling: Inkling) -> None:
    assert inkling.in_process("user", "list").text == ""
    add_alice(inkling)
    alice = user_of(inkling)
    assert password_fits(alice.password_hash, PASSWORD.decode().strip())
    again = inkling.in_process("user", "add", "ALICE@seller.example", "--name", "A", "--password-stdin", stdin=PASSWORD)
    assert (again.code, again.sentence) == (1, "Somebody with this address is already here.")
    assert inkling.in_process("user", "disable", "alice@SELLER.example").text == "Disabled alice@seller.example.\n"
    assert inkling.in_process("user", "list").lines == [["alice@seller.example", "Alice", "member", "disabled"]]


def test_who_is_disabled_has_no_way_in(inkling: Inkling) -> None:
    add_alice(inkling)
    token = inkling.in_process("token", "add", "--user", "alice@seller.example", "--name", "CRM").text.strip()
    context = inkling.context()
    with context.database.session_scope() as session:
        alice = session.exec(select(User)).one()
        session.add(UserSession(user_id=alice.id or 0, token_digest="d", expires_at=now()))
    inkling.in_process("user", "disable", "alice@seller.example")
    with context.database.reading() as session:
        assert session.exec(select(UserSession)).all() == []
        assert session.exec(select(ApiToken).where(col(ApiToken.revoked_at).is_(None))).all() == []
        assert session.exec(select(ApiToken.token_digest)).one() == token_digest(token)
    context.database.close()
    refused = inkling.in_process("token", "add", "--user", "alice@seller.example", "--name", "CRM")
    assert (refused.code, refused.sentence) == (1, "alice@seller.example is disabled; a token would open nothing.")


@pytest.mark.parametrize(
    ("words", "stdin", "complaint"),
    [
        (("alice", "--name", "A"), PASSWORD, "not an e-mail address"),
        (("alice@seller.example", "--name", " "), PASSWORD, "The name is missing"),
        (("alice@seller.example", "--name", "x" * 201), PASSWORD, "The name is too long"),
        (("alice@seller.example", "--name", "A"), b"too short\n", "10 characters or more"),
        (("alice@seller.example", "--name", "A"), b"", "10 characters or more"),
        (("alice@seller.example", "--name", "A"), b"\xff\xfe\xfd\xfc\xfb\xfa\xf9\xf8\xf7\xf6\n", "password"),
    ],
)
def test_people_that_cannot_be_added(inkling: Inkling, words: tuple[str, ...], stdin: bytes, complaint: str) -> None:
    done = inkling.in_process("user", "add", *words, "--password-stdin", stdin=stdin)
    assert done.code == 1
    assert complaint in done.sentence


def test_a_password_from_windows_ends_before_its_line(inkling: Inkling) -> None:
    inkling.in_process(
        "user", "add", "alice@seller.example", "--name", "A", "--password-stdin", stdin=b"correct horse battery\r\n"
    )
    assert password_fits(user_of(inkling).password_hash, "correct horse battery")


def test_the_life_of_a_token(inkling: Inkling) -> None:
    add_alice(inkling)
    token = inkling.in_process("token", "add", "--user", "alice@seller.example", "--name", "CRM").text.strip()
    listed = inkling.in_process("token", "list")
    ((public_id, *rest),) = listed.lines
    assert rest == ["alice@seller.example", "CRM", "active", "never used"]
    assert token not in listed.text
    assert inkling.in_process("token", "revoke", public_id).text == f"Revoked {public_id}.\n"
    assert inkling.in_process("token", "revoke", public_id).code == 0, "twice is once"
    assert inkling.in_process("token", "list").lines[0][3] == "revoked"


def test_somebody_who_is_not_here(inkling: Inkling) -> None:
    for words in (("user", "disable", "luc@x.example"), ("token", "add", "--user", "luc@x.example", "--name", "a")):
        done = inkling.in_process(*words)
        assert (done.code, done.sentence) == (1, "Nobody here has the address luc@x.example. See: inkling user list")


def test_the_policy_is_chosen_with_its_reason(inkling: Inkling) -> None:
    for words in (("notice",), ("notice", "--reason", " " * 40)):
        refused = inkling.in_process("policy", "set", *words)
        assert refused.code == 1
        assert refused.sentence.startswith("The reason is missing.")
    context = inkling.context()
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.STRICT
    done = inkling.in_process(
        "policy", "set", "notice", "--reason", "All our clients live in Brazil; counsel of 3 March."
    )
    assert (done.code, done.text) == (0, "The consent policy is “notice”.\n")
    with context.database.reading() as session:
        assert workspace_pack(session) == Pack.NOTICE
        assert preference(session, "policy_reason").startswith("All our clients")
    assert inkling.in_process("policy", "set", "off").code == 0
    context.database.close()


def test_the_operator_vouches_for_an_address(inkling: Inkling) -> None:
    add_alice(inkling)
    context = inkling.context()
    with context.database.session_scope() as session:
        alice = session.exec(select(User)).one()
        for address, removed in (("Sales@Seller.example", None), ("old@seller.example", now())):
            account = Account(
                user_id=alice.id or 0, address=address, smtp_host="mail.x.example", smtp_port=587, smtp_security="tls"
            )
            account.removed_at = removed
            session.add(account)
    assert inkling.in_process("account", "confirm", "sales@seller.EXAMPLE").text == "Confirmed sales@seller.example.\n"
    for address in ("old@seller.example", "luc@seller.example"):
        refused = inkling.in_process("account", "confirm", address)
        assert (refused.code, refused.sentence) == (1, f"No account sends as {address}.")
    assert inkling.in_process("account", "confirm", "sales@").code == 1
    with context.database.reading() as session:
        confirmed = {a.address for a in session.exec(select(Account)) if a.confirmed_at}
    assert confirmed == {"Sales@Seller.example"}
    context.database.close()


def test_consents_come_from_a_file(inkling: Inkling, tmp_path: Path) -> None:
    file = tmp_path / "consents.csv"
    file.write_text("address,purpose,state\nanna@client.example,both,refused\nluc@client.example,nothing,refused\n")
    done = inkling.in_process("consent", "import", str(file))
    assert (done.code, done.text.splitlines()) == (
        1,
        [
            "line 3\tluc@client.example\tpurpose\t“purpose” must be one of opens, clicks, documents, both, not “nothing”.",
            "Read 2 rows: recorded 2 entries, refused 1 of the rows.",
        ],
    )
    file.write_text("anna@client.example\n")
    assert "must name the columns" in inkling.in_process("consent", "import", str(file)).sentence
    assert "cannot be read" in inkling.in_process("consent", "import", str(tmp_path / "none.csv")).sentence


def test_a_policy_above_the_ceiling_is_refused(inkling: Inkling) -> None:
    done = inkling.in_process(
        "policy", "set", "notice", "--reason", "All our clients know us.", TRACKING_CEILING="strict"
    )
    assert (done.code, "allows the policy “strict” at the most" in done.sentence) == (1, True)
