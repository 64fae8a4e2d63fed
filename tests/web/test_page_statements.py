"""What a page asks of the database does not grow with what there is: few statements, all by an index."""

import http.client
from contextlib import closing
from urllib.parse import urlsplit

import httpx

from tests.bench.lists import MOST_STATEMENTS, addresses
from tests.bench.lists_world import build, session_token
from tests.test_plans import Statements, noted, read_whole
from tests.web.conftest import server
from tests.web.test_every_page import furnished, paths
from tracker.runtime.context import AppContext
from tracker.web.http.sessions import COOKIE

__all__ = ["furnished"]
PER_LETTER = "/sites/attribution"
"""Decides again about each letter of a period."""
IN_ORDER = ("customer: ", "recipient: ", "shop: ", "enquiry_status: SELECT letter.id")
"""Everybody sees all of these, fifty at a time in the order of an index; shops are few. (Of a letter’s enquiry PostgreSQL plans
both ways.)"""
READS_WORDS = ("q=", "sender=@")
"""Whoever searches for a piece of a word reads what there is."""


def test_every_page_takes_few_statements_and_each_reads_by_an_index(context: AppContext) -> None:
    build(context, 0.001)
    too_many, said = [], Statements()
    with server(context) as address:
        for path in addresses(context):
            statements = asked(context, address, path)
            if statements.count > MOST_STATEMENTS:  # it may be the first today, which notes who looked
                statements = asked(context, address, path)
            if statements.count > MOST_STATEMENTS:
                too_many.append(f"{statements.count} {path}")
            if not any(word in path for word in READS_WORDS):
                said.first |= statements.first
    assert not too_many, "\n".join(too_many)
    whole = [line for line in read_whole(context, said) if not line.startswith(IN_ORDER)]
    assert not whole, "\n".join(whole)


def asked(context: AppContext, address: str, path: str) -> Statements:
    connection = http.client.HTTPConnection(urlsplit(address).netloc)
    with closing(connection), noted(context) as statements:
        connection.request("GET", path, headers={"Cookie": f"{COOKIE}={session_token(1)}"})
        response = connection.getresponse()
        response.read()
    assert response.status in (200, 404), path
    return statements


def test_every_page_with_something_of_everything_takes_few_statements(
    context: AppContext, client: httpx.Client, furnished: dict[str, str]
) -> None:
    too_many = []
    for path in paths(furnished):
        client.get(path)  # the first look of a day is noted
        with noted(context) as statements:
            client.get(path)
        if statements.count > MOST_STATEMENTS and path != PER_LETTER:
            too_many.append(f"{statements.count} {path}")
    assert not too_many, "\n".join(too_many)
