"""Consents out of a CSV file: each row has its answer, and the ledger still verifies."""

from datetime import UTC, datetime, timedelta

import pytest

from tests.fixtures.contexts import People
from tests.test_recipients import make
from tracker.consent.audit import broken_chains
from tracker.consent.bulk_import import ConsentRowResult, import_consents
from tracker.consent.ledger import consent_of, ledger
from tracker.consent.preferences import change_rule
from tracker.consent.rules import ConsentState, Purpose
from tracker.models import ConsentEntry
from tracker.runtime.context import AppContext
from tracker.runtime.csv_file import UnreadableFile

HEADING = "address,name,purpose,state,at,note,reference,source_url"


def take(context: AppContext, *rows: str, heading: str = HEADING, accepted: str = "E") -> list[ConsentRowResult]:
    with context.database.session_scope() as session:
        change_rule(session, "accepted_grades", accepted)
    results = list(import_consents(context, "\n".join((heading, *rows)).encode(), by="user:1"))
    with context.database.reading() as session:
        assert list(broken_chains(session)) == []
    return results


def entries(context: AppContext, address: str) -> list[ConsentEntry]:
    person = make(context, address)
    with context.database.reading() as session:
        return list(ledger(session, person))


def refused(results: list[ConsentRowResult]) -> dict[int, str]:
    return {row.line: row.field for row in results if row.problem}


def test_every_row_has_its_answer(context: AppContext) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=2)).date().isoformat()
    results = take(
        context,
        "anna@client.example,Anna Berg,both,granted,2026-03-31,,form 12,https://shop.example/f?mail=anna",
        "luc@client.example,,opens,refused,,,,",
        f"eve@client.example,,opens,granted,{tomorrow},,form 12,",
        "eve@client.example,,everything,granted,2026-03-31,,form 12,",
        "eve@client.example,,opens,perhaps,2026-03-31,,form 12,",
        "eve@client.example,,opens,granted,2026-03-31,,,",
        "eve@client.example,,opens,granted,31.3.2026,,form 12,",
        "eve@client.example,,opens,granted,,,form 12,",
        "no address,,opens,refused,,,,",
        "",
        "eve@client.example,,opens",
        'eve@client.example,,opens,refused,,"half a "quotation,,',
        "greta@client.example,,clicks,objected,,,,",
    )
    assert refused(results) == {
        4: "at",
        5: "purpose",
        6: "state",
        7: "note",
        8: "at",
        9: "at",
        10: "address",
        12: "",
        13: "",
    }
    assert [row.recorded for row in results if not row.problem] == [2, 1, 1]
    first = entries(context, "anna@client.example")[0]
    assert (first.state, first.grade, first.channel, first.reference) == ("granted", "E", "import", "form 12")
    assert (first.at, first.source_url) == (datetime(2026, 3, 31, tzinfo=UTC), "https://shop.example/f")
    assert first.actor.startswith("import:")
    assert first.evidence == {"by": "user:1", "line": 2}
    assert entries(context, "eve@client.example") == []


def test_what_is_not_accepted_is_refused_and_a_no_is_not(context: AppContext) -> None:
    results = take(
        context,
        "anna@client.example,,both,granted,2026-03-31,,form 12,",
        "luc@client.example,,both,refused,2026-03-31,,,",
        accepted="C",
    )
    assert refused(results) == {2: "channel"}
    assert "accepted is A–C" in str(results[0].problem)
    assert len(entries(context, "luc@client.example")) == 2


def test_a_no_is_not_overwritten(context: AppContext, people: People) -> None:
    people.consent("anna@client.example", ConsentState.REFUSED)
    people.grant("luc@client.example")
    people.consent("luc@client.example", ConsentState.WITHDRAWN)
    results = take(
        context,
        "anna@client.example,,both,granted,2026-03-31,,form 12,",
        f"luc@client.example,,both,granted,{datetime.now(UTC).isoformat()},,form 12,",
    )
    assert refused(results) == {2: "at", 3: "channel"}
    with context.database.reading() as session:
        ids = [make(context, f"{name}@client.example").id or 0 for name in ("anna", "luc")]
        states = consent_of(session, ids)
    assert [states[id_][Purpose.OPENS] for id_ in ids] == [ConsentState.REFUSED, ConsentState.WITHDRAWN]


def test_a_withdrawal_from_elsewhere_is_not_lost(context: AppContext) -> None:
    results = take(context, "anna@client.example,,both,withdrawn,2026-03-31,,,")
    assert refused(results) == {}
    assert {entry.state for entry in entries(context, "anna@client.example")} == {"refused"}


def test_the_same_file_again_adds_nothing(context: AppContext) -> None:
    rows = ("anna@client.example,,both,granted,2026-03-31,,form 12,", "luc@client.example,,opens,refused,,,,")
    assert [row.recorded for row in take(context, *rows)] == [2, 1]
    assert [(row.recorded, row.problem) for row in take(context, *rows)] == [(0, ""), (0, "")]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "must name the columns"),
        (b"address,state\nanna@client.example,granted\n", "must name the columns"),
        (b"address,purpose,state,colour\n", "colour"),
        (b"address,purpose,state,state\n", "must name the columns"),
        (b"\xff\xffaddress", "must name the columns"),
    ],
)
def test_a_file_that_is_none(context: AppContext, content: bytes, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        list(import_consents(context, content, by="user:1"))


def test_the_files_that_offices_write(context: AppContext) -> None:
    text = 'Address;Purpose;State;Note\r\nмария@пример.рф;clicks;refused;"«нет; спасибо»"\r\n'
    for content in (text.encode("utf-8-sig"), text.encode("utf-16")):
        assert [row.problem for row in import_consents(context, content, by="user:1")] == [""]
    assert [entry.note for entry in entries(context, "мария@пример.рф")] == ["«нет; спасибо»"]


OFFICE_FILES = {
    "excel's hint": b"sep=;\r\naddress;purpose;state\r\nk@client.example;both;refused\r\n",
    "hint with byte order mark": b"\xef\xbb\xbfsep=;\r\naddress;purpose;state\r\nk@client.example;both;refused\r\n",
    "quoted hint": b'"sep=;"\r\naddress;purpose;state\r\nk@client.example;both;refused\r\n',
    "hint in capitals, tab": b"SEP=\t\naddress\tpurpose\tstate\nk@client.example\tboth\trefused\n",
    "hint with commas behind it": b"sep=,,,\r\naddress,purpose,state\r\nk@client.example,both,refused\r\n",
    "hint in UTF-16": "sep=;\r\naddress;purpose;state\r\nk@client.example;both;refused\r\n".encode("utf-16"),
    "UTF-16 without mark": "address;purpose;state\r\nk@client.example;both;refused\r\n".encode("utf-16-le"),
    "UTF-16 big-endian": b"\xfe\xff" + "address;purpose;state\r\nk@client.example;both;refused\r\n".encode("utf-16-be"),
    "empty last column": b"address,purpose,state,\r\nk@client.example,both,refused,\r\n",
    "empty last columns, short row": b"address,purpose,state,,,\nk@client.example,both,refused\n",
    "empty first column": b",address,purpose,state\n,k@client.example,both,refused\n",
    "empty column in the middle": b"address,,purpose,state\nk@client.example,,both,refused\n",
    "row with commas behind it": b"address,purpose,state\nk@client.example,both,refused,,,\n",
    "rows of commas": b"address,purpose,state\n,,\n,,\nk@client.example,both,refused\n,,\n",
    "empty lines before the heading": b"\r\n\r\naddress,purpose,state\r\nk@client.example,both,refused\r\n",
    "bars": b"address|purpose|state\nk@client.example|both|refused\n",
    "all in quotes": b'"address";"purpose";"state"\r\n"k@client.example";"both";"refused"\r\n',
    "line ends of old Macs": b"address,purpose,state\rk@client.example,both,refused\r",
    "spaces and capitals": b" Address , PURPOSE,State \n k@client.example , both , Refused \n",
    "commas in a name": b'address;name;purpose;state\nk@client.example;"Klein, Karl, Dr.";both;refused\n',
}


@pytest.mark.parametrize("content", OFFICE_FILES.values(), ids=OFFICE_FILES)
def test_the_same_row_however_a_spreadsheet_writes_it(context: AppContext, content: bytes) -> None:
    (row,) = import_consents(context, content, by="user:1")
    assert (row.address, row.recorded, row.problem) == ("k@client.example", 2, "")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "cp1252"])
def test_names_are_read_in_the_encodings_of_offices(context: AppContext, encoding: str) -> None:
    name = "Мария Иванова" if encoding == "cp1251" else "Zoë Größe"
    rows = f"address;name;purpose;state\r\nk@client.example;{name};both;refused\r\n"
    (row,) = import_consents(context, rows.encode(encoding), by="user:1")
    assert row.problem == ""
    assert make(context, "k@client.example").name == name


def test_a_bad_row_of_such_a_file_is_refused_alone_and_named_by_its_line(context: AppContext) -> None:
    content = (
        b"sep=;\r\naddress;purpose;state;\r\na@client.example;both;refused;\r\nb@client.example;both;refused;what is this\r\n"
        b"c@client.example;both\r\nd@client.example;both;refused;\r\n"
    )
    results = list(import_consents(context, content, by="user:1"))
    assert [(row.line, row.recorded, bool(row.problem)) for row in results] == [
        (3, 2, False),
        (4, 0, True),
        (5, 0, True),
        (6, 2, False),
    ]


@pytest.mark.parametrize("content", [b"PK\x03\x04 rest of a workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 old"])
def test_a_workbook_is_told_what_it_is(context: AppContext, content: bytes) -> None:
    with pytest.raises(UnreadableFile, match="workbook"):
        list(import_consents(context, content, by="user:1"))
