"""What no page expects where it takes something, in a path, a query or a form: it is answered, and never with a crash."""

import re
from itertools import cycle, islice
from pathlib import Path

import httpx
import pytest

from tests.web.test_nul import paths
from tracker.models import User
from tracker.runtime.context import AppContext

SOURCES = "\n".join(path.read_text("utf-8") for path in (Path(__file__).parents[2] / "tracker" / "web").rglob("*.py"))
QUERY = sorted({*re.findall(r'(?:params|query)(?:\.get|\.getlist)?[(\[]"([a-z_]+)"', SOURCES), "after", "before", "q"})
FORM = sorted(set(re.findall(r'(?:form, |form\.get\(|form\.getlist\()"([a-z_]+)"', SOURCES)))
VALUES = ["²", "9" * 4400, "9" * 19, "9999-12-31", "0001-01-01", "-1", "[" * 3000, "٣", "NaN"]


def values(names: list[str], shift: int) -> dict[str, str]:
    """Each name with a value, and at each shift with another one."""
    return dict(zip(names, islice(cycle(VALUES), shift, None), strict=False))


@pytest.mark.parametrize("first", [0, 5])
def test_no_page_stumbles(context: AppContext, client: httpx.Client, alice: User, first: int) -> None:
    """A name meets another value on each page; with every number below nine for ``first``, each value on each page."""
    assert len(QUERY) > 20
    assert len(FORM) > 60
    crashed = []
    for shift, (method, path) in enumerate(paths(context), start=first):
        place = re.sub(r"\{[^}]+\}", VALUES[shift % len(VALUES)][:30], path)
        words = (
            {"params": {name: value[:2000] for name, value in values(QUERY, shift).items()}}
            if method == "GET"
            else {"data": values(FORM, shift)}
        )
        answer = client.request(method, place, **words)  # type: ignore[arg-type]
        if answer.status_code >= 500:
            crashed.append((method, path))
    assert crashed == []


@pytest.mark.parametrize(
    "place",
    [
        *(f"/reports/enquiries?{name}={day}" for name in ("since", "until") for day in ("0001-01-01", "9999-12-31")),
        *(f"/mail?{name}={day}" for name in ("since", "until") for day in ("0001-01-01T00:00Z", "9999-12-31T23:59Z")),
        f"/sites/preview?site={'9' * 500}",
        f"/sites/preview?site=x&page={'x' * 5000}",
    ],
)
@pytest.mark.parametrize("zone", ["Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_neither_at_the_ends_of_time_and_of_room(
    context: AppContext, client: httpx.Client, alice: User, place: str, zone: str
) -> None:
    with context.database.session_scope() as session:
        session.get_one(User, alice.id).timezone = zone
    assert client.get(place).status_code in (200, 422)


def test_conditions_and_codes_of_any_kind_are_refused_with_a_sentence(client: httpx.Client) -> None:
    answer = client.post("/sites/sources/new", data={"name": "x", "conditions": "[" * 40_000})
    assert answer.status_code == 422
