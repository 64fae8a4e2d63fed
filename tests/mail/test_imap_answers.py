"""What an IMAP server answers, broken or not, is read as far as it goes; nothing raises."""

import pytest

from tracker.mail.imap_answers import fetch_answers, list_answers


@pytest.mark.parametrize(
    ("records", "items"),
    [
        ([b"1 (UID 5 FLAGS (\\Seen))"], [{b"SEQ": 1, b"UID": 5, b"FLAGS": [b"\\Seen"]}]),
        ([b"1 (uid 5)", b"2 (UID 6"], [{b"SEQ": 1, b"UID": 5}, {b"SEQ": 2, b"UID": 6}]),
        ([(b"1 (BODY[] {3}", b"a)b"), b" UID 5)"], [{b"SEQ": 1, b"BODY[]": b"a)b", b"UID": 5}]),
        ([(b"1 (BODY[] {3}", b"a(b"), b")", b"2 (UID 6)"], [{b"SEQ": 1, b"BODY[]": b"a(b"}, {b"SEQ": 2, b"UID": 6}]),
        ([(b'1 (BODY[HEADER.FIELDS ("TO")]<0> {1}', b"x"), b")"], [{b"SEQ": 1, b'BODY[HEADER.FIELDS ("TO")]<0>': b"x"}]),
        ([b'1 (BODY[] "12")'], [{b"SEQ": 1, b"BODY[]": b"12"}]),
        ([b"1 (BODY[] NIL UID 0005)"], [{b"SEQ": 1, b"BODY[]": None, b"UID": 5}]),
        ([b"(", b")", b"x (UID 1)", b"1 FETCH", None, b""], []),
        ([b"1 " + b"(" * 100_000], [{b"SEQ": 1}]),
        ([b"1 (UID " + b"9" * 100_000 + b")"], [{b"SEQ": 1, b"UID": 0}]),
        ([b'1 (X "' + b'\\"' * 50_000 + b")"], [{b"SEQ": 1}]),
    ],
)  # fmt: skip
def test_fetch_answers_are_read_as_far_as_they_go(records: list[bytes], items: list[dict[bytes, object]]) -> None:
    answers = fetch_answers(records)
    assert [{k: v for k, v in answer.items() if k != b"X"} for answer in answers] == items


def test_list_answers_are_read_one_by_one() -> None:
    listed = list_answers([b'(\\A) "/" x', b"() NIL y", b"(", b"", b'() "."', (b"() NIL {1}", b"z"), b""])
    assert [(f.delimiter, f.name) for f in listed] == [(b"/", b"x"), (None, b"y"), (None, b"z")]
