"""Which message a letter may answer, and whose copy; trap K8: Message-IDs of ours that nobody else can make."""

import pytest

from tests.inbound.corpus import simple
from tracker.inbound.parse.answers import SentDelivery, Whose, candidates, is_answer_by_subject, quoted_urls, whose
from tracker.inbound.parse.letter import parse
from tracker.inbound.parse.subjects import bare_subject
from tracker.mail.message_ids import is_notice, new_id, notice_mark, read_id
from tracker.runtime.keyring import Keyring

KEYRING = Keyring(("first key of this test",))


def test_the_likeliest_comes_first() -> None:
    letter = parse(simple("In-Reply-To: <c@x.example>", "References: <a@x.example> <b@x.example> <c@x.example>"))
    assert candidates(letter) == ("c@x.example", "b@x.example", "a@x.example")


def test_k8_only_our_own_ids_are_genuine() -> None:
    ours = new_id(KEYRING, "m", "Ab-_c12xyz9", "seller.example")
    assert ours.endswith("@seller.example>")
    own_id = read_id(KEYRING, ours)
    assert own_id is not None
    assert (own_id.kind, own_id.id, own_id.genuine) == ("m", "Ab-_c12xyz9", True)
    forged = read_id(KEYRING, ours.replace("Ab-_c12xyz9", "Ab-_c12xyz8"))
    assert forged is not None
    assert not forged.genuine
    assert read_id(KEYRING, "<CAF123@mail.gmail.com>") is None


def test_ids_outlive_a_change_of_keys() -> None:
    ours = new_id(KEYRING, "m", "Ab-_c12xyz9", "seller.example")
    changed = read_id(Keyring(("a new key", *KEYRING.keys)), ours.strip("<>"))
    assert changed is not None
    assert changed.genuine


def test_k12_a_notice_is_known_by_its_mark_alone_and_only_with_its_own_id() -> None:
    mark = notice_mark(KEYRING, "<n-1@x.example>")
    assert is_notice(KEYRING, "n-1@x.example", mark)
    assert not is_notice(KEYRING, "n-2@x.example", mark)
    assert not is_notice(KEYRING, "n-1@x.example", "")
    assert not is_notice(KEYRING, "n-1@x.example", "é\udcff")


@pytest.mark.parametrize(
    ("sender", "marked", "expected"),
    [
        ("anna@a.example", None, Whose(1, "recipient")),
        ("anna@a.example", 2, Whose(1, "recipient")),
        ("boris+crm@b.example", None, Whose(2, "tag")),
        ("carl@a.example", 2, Whose(2, "token")),
        ("carl@a.example", 9, Whose(None, "other")),
        ("carl@a.example", None, Whose(None, "other")),
        ("", None, Whose(None, "other")),
    ],
)
def test_whose_copy(sender: str, marked: int | None, expected: Whose) -> None:
    assert whose(sender, [SentDelivery(1, "anna@a.example"), SentDelivery(2, "boris@b.example")], marked) == expected


def test_a_single_copy_that_somebody_else_answers() -> None:
    answer = whose("carl@a.example", [SentDelivery(1, "anna@a.example")])
    assert answer == Whose(1, "other")
    assert not answer.by_a_recipient


@pytest.mark.parametrize(
    ("subject", "bare"),
    [
        ("Re: RE: Fwd: Offer 12", "offer 12"),
        ("AW: [EXT] Re[2]: Offer 12", "offer 12"),
        ("Отв: HA: Offer 12", "offer 12"),
        ("Пересл: Re: Предложение", "предложение"),
        ("Rehearsal", "rehearsal"),
        ("ΣΧΕΤ: Offer", "offer"),
        ("{Spam?} Re: Offer", "offer"),
        ("رد: Offer", "offer"),
        ("תשובה: Offer", "offer"),
        ("Trả lời: Offer", "offer"),
        ("Antw.: Отв.: Offer", "offer"),
        ("Tram: line 5", "tram: line 5"),
    ],
)
def test_subjects_without_their_prefixes(subject: str, bare: str) -> None:
    assert bare_subject(subject) == bare


def test_a_subject_answers_only_when_it_says_so() -> None:
    assert is_answer_by_subject("Re: Offer 12")
    assert not is_answer_by_subject("Offer 12")
    assert not is_answer_by_subject("Fwd: Offer 12")
    assert not is_answer_by_subject("Re: hi")


def test_addresses_in_quoted_html() -> None:
    html = "<a href='https://t.example/c/x?a=1&amp;b=2'>x</a><img src=https://t.example/o/y.gif>"
    assert list(quoted_urls(html)) == ["https://t.example/c/x?a=1&b=2", "https://t.example/o/y.gif"]
