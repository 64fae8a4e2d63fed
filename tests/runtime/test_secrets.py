"""The keyring, passwords and tokens: what opens, what must not, and what must not be seen."""

import re

import pytest
from argon2 import extract_parameters
from argon2.exceptions import VerifyMismatchError

from tests.fixtures.contexts import PASSWORD
from tracker.mail.connections import Server
from tracker.runtime import keyring as secrets
from tracker.runtime.context import AppContext
from tracker.runtime.keyring import (
    Keyring,
    Undecryptable,
    hash_password,
    new_code,
    new_token,
    password_fits,
    token_digest,
)

OLD, NEW, FOREIGN = (f"{name}-0123456789-abcdefghijklmnopqrstuvwxyz" for name in ("old", "new", "foreign"))


def test_what_was_sealed_opens_again() -> None:
    keyring = Keyring((NEW,))
    assert keyring.decrypt(keyring.encrypt(b"pass\0word", "account:17:smtp"), "account:17:smtp") == b"pass\0word"
    assert keyring.decrypt(keyring.encrypt(b"", "account:17:smtp"), "account:17:smtp") == b""


def test_a_secret_is_bound_to_its_record() -> None:
    """Copied to another row, to another field or to the bin of another person, it stays shut."""
    keyring = Keyring((NEW,))
    sealed = keyring.encrypt(b"hush", "account:17:smtp")
    for record in ("account:18:smtp", "account:17:imap", "account:1:7:smtp", ""):
        with pytest.raises(Undecryptable):
            keyring.decrypt(sealed, record)


def test_no_two_ciphertexts_are_alike() -> None:
    keyring = Keyring((NEW,))
    assert len({keyring.encrypt(b"hush", "a") for _ in range(100)}) == 100


def test_keys_rotate() -> None:
    """What the old key sealed opens while it is in the ring; what is sealed now needs the new one."""
    sealed = Keyring((OLD,)).encrypt(b"hush", "a")
    both = Keyring((NEW, OLD))
    assert both.decrypt(sealed, "a") == b"hush"
    sealed_now = both.encrypt(b"hush", "a")
    assert Keyring((NEW,)).decrypt(sealed_now, "a") == b"hush"
    with pytest.raises(Undecryptable):
        Keyring((OLD,)).decrypt(sealed_now, "a")
    with pytest.raises(Undecryptable):
        Keyring((NEW,)).decrypt(sealed, "a")


def test_a_wrong_key_says_what_to_do_and_shows_nothing() -> None:
    sealed = Keyring((FOREIGN,)).encrypt(b"hush", "account:17:smtp")
    with pytest.raises(Undecryptable, match="Enter it again") as refused:
        Keyring((NEW, OLD)).decrypt(sealed, "account:17:smtp")
    assert "hush" not in str(refused.value)
    assert NEW not in str(refused.value)


@pytest.mark.parametrize("length", [0, 1, 7, 11, 12, 13, 27])
def test_cut_ciphertext_is_only_undecryptable(length: int) -> None:
    keyring = Keyring((NEW,))
    with pytest.raises(Undecryptable):
        keyring.decrypt(keyring.encrypt(b"hush", "a")[:length], "a")


def test_a_changed_byte_anywhere_is_noticed() -> None:
    keyring = Keyring((NEW,))
    sealed = keyring.encrypt(b"hush", "a")
    for index in range(len(sealed)):
        changed = sealed[:index] + bytes([sealed[index] ^ 1]) + sealed[index + 1 :]
        with pytest.raises(Undecryptable):
            keyring.decrypt(changed, "a")


def test_a_ring_needs_a_key() -> None:
    with pytest.raises(ValueError, match="at least one key"):
        Keyring(())


def test_digests_are_keyed() -> None:
    assert Keyring((NEW, OLD)).digest("anna") == Keyring((NEW,)).digest("anna")
    assert Keyring((NEW,)).digest("anna") != Keyring((OLD,)).digest("anna")
    assert Keyring((NEW,)).digest("anna") != Keyring((NEW,)).digest("luc")
    assert re.fullmatch("[0-9a-f]{64}", Keyring((NEW,)).digest("anna"))


def test_passwords() -> None:
    stored_hash = hash_password(PASSWORD)
    assert PASSWORD not in stored_hash
    assert stored_hash != hash_password(PASSWORD)
    assert password_fits(stored_hash, PASSWORD)
    for wrong in (PASSWORD.upper(), f"{PASSWORD} ", "", "\ud800", "x" * 10_000):
        assert not password_fits(stored_hash, wrong)
    assert not password_fits("not a hash", PASSWORD)
    assert not password_fits("", PASSWORD)


def test_for_an_unknown_person_the_same_work_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the time of the answer would tell who is here. Counted in verifications and their parameters, not seconds."""
    verified: list[str] = []
    verify = secrets._passwords.verify

    class Counting:
        def verify(self, hash: str, password: str) -> bool:
            try:
                return verify(hash, password)
            except VerifyMismatchError:  # the work was done: a hash that is none fails otherwise, and at once
                verified.append(hash)
                raise

    stored_hash = hash_password(PASSWORD)
    monkeypatch.setattr(secrets, "_passwords", Counting())
    assert not password_fits(None, PASSWORD)
    assert not password_fits(stored_hash, "wrong")
    nobody, somebody = verified
    assert extract_parameters(nobody) == extract_parameters(somebody)
    assert extract_parameters(stored_hash).memory_cost >= 65_536


def test_tokens_are_random_and_kept_as_digests() -> None:
    tokens = {new_token() for _ in range(400)}
    assert not any(token.startswith("-") for token in tokens), "a program would take it for an option"
    assert len(tokens) == 400
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{43}", token) for token in tokens)
    digests = {token_digest(token) for token in tokens}
    assert len(digests) == 400
    assert not any(token in digest for token in tokens for digest in digests)


def test_codes_hold_no_look_alikes() -> None:
    codes = [new_code() for _ in range(200)]
    assert len(set(codes)) == 200
    assert all(re.fullmatch(r"[A-HJ-NP-Z2-9]{4}(-[A-HJ-NP-Z2-9]{4}){2}", code) for code in codes)


def test_nothing_secret_shows_in_a_representation(context: AppContext) -> None:
    server = Server("mail.example", 587, "starttls", "anna", "hush")
    shown = "\n".join(
        f"{thing!r} {thing}" for thing in (context, context.keyring, context.tokens, context.settings, server)
    )
    for secret in (*context.keyring.keys, "hush", "sandbox@"):  # the last: the password of the test database
        assert secret not in shown
