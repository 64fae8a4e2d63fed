"""The plan beside a message being written: who will be tracked, who will not, and why."""

import httpx
import pytest
from sqlmodel import col, select

from tests.web.compose_form import ALL, send
from tests.web.mail_world import agree
from tests.web.reading import attribute, every, text_at
from tracker.consent.rules import ConsentState, Purpose
from tracker.models import TrackedLink, User
from tracker.runtime.context import AppContext


def plan(client: httpx.Client, **form: str) -> httpx.Response:
    return client.post("/compose/plan", data={**ALL, **form})


def test_the_sentence_says_who_and_why(context: AppContext, client: httpx.Client, sender: User) -> None:
    agree(context, "marie@example.org", name="Marie")
    agree(context, "anna@example.org", ConsentState.REFUSED, name="Anna")
    answer = plan(client, to="marie@example.org, anna@example.org", cc="Luc <luc@example.org>")
    assert text_at(answer, ".plan-sentence") == "1 of 3 will be tracked: Anna refused and Luc was never asked."
    assert [attribute(line, "class") for line in every(answer, ".plan-people li")] == ["good", "quiet", "quiet"]


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"to": ""}, "Add a recipient to see who will be tracked and who will not."),
        ({"to": "marie@example.org"}, "Marie will be tracked: opens and clicks."),
        ({"to": "marie@example.org", "track_links": ""}, "Marie will be tracked: opens only."),
        ({"to": "luc@example.org"}, "Nobody will be tracked: luc@example.org was never asked."),
        ({"to": "alice@sales.example"}, "Nobody will be tracked: alice@sales.example is yourself."),
    ],
)
def test_sentences(
    context: AppContext, client: httpx.Client, sender: User, form: dict[str, str], sentence: str
) -> None:
    agree(context, "marie@example.org", name="Marie")
    fields = {
        name: value for name, value in {**ALL, **form}.items() if value or name not in ("track_opens", "track_links")
    }
    assert text_at(client.post("/compose/plan", data=fields), ".plan-sentence") == sentence


def test_somebody_tracked_in_part_is_said(context: AppContext, client: httpx.Client, sender: User) -> None:
    agree(context, "marie@example.org", purposes=(Purpose.OPENS,), name="Marie")
    answer = plan(client, to="marie@example.org, luc@example.org")
    assert text_at(answer, ".plan-sentence") == (
        "1 of 2 will be tracked: luc@example.org was never asked and Marie: opens only."
    )
    assert text_at(answer, ".plan-people .plan-why") == "opens: agreed; clicks: was never asked"


def test_a_half_typed_address_does_not_stop_the_plan(client: httpx.Client, sender: User) -> None:
    answer = plan(client, to="luc@example.org, an@, ann", typing="ann")
    assert "Not an address: an@" in text_at(answer, ".wrong")
    assert len(every(answer, ".plan-people li")) == 1


def test_a_link_can_be_left_alone(context: AppContext, client: httpx.Client, sender: User) -> None:
    agree(context, "anna@example.org")
    html = '<a href="https://x.example/a">a</a> <a href="https://x.example/b">b</a>'
    boxes = every(plan(client, html=html, format="html"), "input[name=leave]")
    assert [attribute(box, "value") for box in boxes] == ["https://x.example/a", "https://x.example/b"]
    send(client, html=html, format="html", leave="https://x.example/a")
    with context.database.reading() as session:
        links = session.exec(select(TrackedLink).order_by(col(TrackedLink.position))).all()
    assert [link.tracked for link in links] == [False, True]


def test_hostile_words_are_words(context: AppContext, client: httpx.Client, sender: User) -> None:
    bad = '"><script>alert(1)</script>'
    agree(context, "eve@example.org", name=bad)
    for answer in (
        plan(
            client, to=f'"{bad}" <eve@example.org>', html=f'<a href="https://x.example/{bad}">{bad}</a>', format="html"
        ),
        send(client, to=bad, subject=bad, text=bad, send_at=bad, account=bad),
    ):
        assert not [script for script in every(answer, "script") if "src" not in script.attrs]
