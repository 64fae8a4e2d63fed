"""Reports on the screen: the same columns, rows and filters as in the file and in the API."""

import csv
import io
import re
from datetime import timedelta
from html import unescape

import httpx
import pytest

from tests.inbound.arrivals import Arrivals, connected
from tests.inbound.corpus import simple
from tracker.models import User
from tracker.runtime.context import AppContext
from tracker.runtime.database import now
from tracker.web.reports import pages

NAMES = ("letters", "sources", "enquiries", "answers", "rules", "mailboxes", "activity")


@pytest.fixture
def inbox(context: AppContext, alice: User) -> Arrivals:
    box = connected(context, alice)
    for number in range(3):
        text = f"How much are {number} chairs?"
        box.arrive(simple(body=text, sender=f"anna{number}@client.example"), internal_date=now(), fetched_at=now())
    return box


def heads(page: str) -> list[str]:
    return re.findall(r'<th scope="col">([^<]*)</th>', page)


def test_the_page_has_the_columns_and_rows_of_the_file(client: httpx.Client, inbox: Arrivals) -> None:
    for name in NAMES:
        page = client.get(f"/reports/{name}", params={"columns": "all"}).text
        file = client.get(f"/reports/{name}", params={"format": "csv"})
        table = list(csv.reader(io.StringIO(file.text.lstrip("\ufeff"))))
        rows = page.count('<th scope="row">') - page.count("</th><td>0</td></tr>")
        assert rows == len(table) - 1 or not heads(page), name
        assert len(heads(page)) in (0, len(table[0])), name
        assert not [head for head in heads(page) if "_" in head and not head.startswith("utm_")], "columns have names"


def test_a_filter_is_added_shown_and_removed(client: httpx.Client, inbox: Arrivals) -> None:
    asked = {"since": "", "until": "", "column": "sender", "comparison": "is", "words": "anna1@client.example"}
    address = client.get("/reports/letters", params=asked).headers["location"]
    assert "sender.is=anna1%40client.example" in address
    page = client.get(address).text
    assert page.count('href="/letters/') == 1
    assert "From is anna1@client.example" in page
    more = client.get(f"{address}&column=sender&comparison=is&words=anna2@client.example").headers["location"]
    assert client.get(more).text.count('href="/letters/') == 2, "any of the values of one column"
    other = client.get(f"{more}&column=subject&words=nothing").headers["location"]
    assert "Nothing in this period" in client.get(other).text, "and all of the columns"
    assert client.get("/reports/letters?shoes=brown").status_code == 400
    assert client.get("/reports/shoes").status_code == 404


def test_letters_that_do_not_count_are_seen_when_they_are_asked_for(client: httpx.Client, inbox: Arrivals) -> None:
    inbox.arrive(simple(body="And now?", sender="anna1@client.example"), internal_date=now(), fetched_at=now())
    assert client.get("/reports/letters").text.count('href="/letters/') == 3
    assert client.get("/reports/letters?counted=false").text.count('href="/letters/') == 1


def test_reports_of_websites_are_where_they_were(client: httpx.Client) -> None:
    assert (
        client.get("/sites/reports/enquiries?since=2026-01-01").headers["location"]
        == "/reports/letters?since=2026-01-01"
    )
    assert client.get("/sites/reports/rules").status_code == 303
    assert client.get("/sites/reports/shoes").status_code == 404


def test_the_picture_of_letters_has_every_day_between_the_first_and_the_last(
    client: httpx.Client, inbox: Arrivals
) -> None:
    earlier = now() - timedelta(days=3)
    inbox.arrive(simple(body="Desks?", sender="ben@client.example"), internal_date=earlier, fetched_at=earlier)
    bars = re.findall(r"<title>[^<]*: (\d+)</title>", client.get("/reports/letters").text)
    assert bars == ["1", "0", "0", "3"]


def test_older_letters_stand_on_further_pages(
    client: httpx.Client, inbox: Arrivals, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "SHOWN", 2)
    at = now() - timedelta(days=1)
    for number in range(4):  # of one moment: what tells them apart is their number
        text = f"How much are {number} desks?"
        inbox.arrive(simple(body=text, sender=f"ben{number}@client.example"), internal_date=at, fetched_at=at)
    for query in ("", "?sender=client.example"):
        address, shown = f"/reports/letters{query}", list[str]()
        while address:
            page = client.get(address).text
            letters = re.findall(r'href="/letters/([^"]*)"', page)
            assert 0 < len(letters) <= 2
            assert "7 letters that count" in page, "of the whole period, whatever page it is"
            assert re.findall(r"<title>[^<]*: (\d+)</title>", page) == ["4", "3"]
            shown += letters
            older = re.search(r'rel="next" href="([^"]*)"', page)
            address = f"/reports/letters{unescape(older[1])}" if older else ""
        assert len(shown) == len(set(shown)) == 7
    assert client.get("/reports/letters?after=shoes").status_code == 400
