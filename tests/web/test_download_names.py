"""P21 and what a spreadsheet must not run: names of files, and cells of exported tables."""

import csv
import io
from urllib.parse import quote

import pytest

from tracker.web.http.download import csv_response, disposition, download, harmless


@pytest.mark.parametrize(
    ("name", "offered"),
    [
        ("../../x", "x"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("CON", "_CON"),
        ("invoice\u202efdp.exe", "invoicefdp.exe"),
        ("", "file-1"),
        ("я" * 400 + ".pdf", "я" * 116 + ".pdf"),
    ],
)
def test_p21_a_name_stays_in_its_folder_and_hides_nothing(name: str, offered: str) -> None:
    assert disposition(name).endswith(f"filename*=UTF-8''{quote(offered, safe='')}")


def test_the_header_is_one_line_of_ascii_with_both_names() -> None:
    header = disposition('Счёт "12"\r\nSet-Cookie: a=b; é.pdf')
    assert header.isascii()
    assert "\r" not in header
    assert "\n" not in header
    assert header.startswith('attachment; filename="')
    assert header.count('"') == 2
    assert "filename*=UTF-8''%D0%A1%D1%87%D1%91%D1%82%20_12_" in header


def test_a_file_is_saved_and_never_shown() -> None:
    answer = download(b"<script>alert(1)</script>", "page.html")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    "evil", ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "  =cmd|' /C calc'!A0", "＝1+1"]
)
def test_a_cell_cannot_become_a_formula(evil: str) -> None:
    assert harmless(evil) == f"'{evil}"


@pytest.mark.parametrize("plain", ["Anna", "anna@example.com", "", "1-2", "Re: offer = price", "Здравствуйте"])
def test_other_cells_stay_as_they_are(plain: str) -> None:
    assert harmless(plain) == plain


async def _read(rows: list[list[str]]) -> str:
    answer = csv_response("enquiries.csv", ["When", "Subject"], rows)
    return "".join([str(part) async for part in answer.body_iterator])


def test_a_table_arrives_whole_whatever_its_cells_hold() -> None:
    import asyncio

    rows = [["2026-03-31", 'a "quoted", thing'], ["2026-04-01", "two\nlines"], ["", "=1+1"]] * 2000
    text = asyncio.run(_read(rows))
    assert text.startswith("\ufeff")
    table = list(csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline="")))
    assert table[0] == ["When", "Subject"]
    assert len(table) == 6001
    assert table[3] == ["", "'=1+1"]
    assert table[2][1] == "two\nlines"
