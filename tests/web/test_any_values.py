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


@pytest.mark.parametrize("shift", range(len(VALUES)))
def test_no_page_stumbles(context: AppContext, client: httpx.Client, alice: User, shift: int) -> None:
    assert len(QUERY) > 20
    assert len(FORM) > 60
    crashed = []
    for method, path in paths(context):
        place = re.sub(r"\{[^}]+\}", VALUES[shift][:30], path)
        if method == "GET":
            answer = client.get(place, params=values(QUERY, shift))
        else:
            answer = client.post(place, data=values(FORM, shift))
        if answer.status_code >= 500:
            crashed.append((method, path))
    assert crashed == []
