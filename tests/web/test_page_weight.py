"""How much of ours a first view loads: style sheets and scripts with what they import, as they are and compressed."""

import gzip
import re
from urllib.parse import urljoin

import httpx
import pytest

from tests.web.mail_world import GALLERY, make_account, write
from tests.web.reading import attribute, every
from tracker.models import User
from tracker.runtime.context import AppContext

MOST_RAW, MOST_COMPRESSED = 60 * 1024, 20 * 1024
ROOM = 1500
"""Of writing, the heaviest: so much may still be added to it."""
_IMPORT = re.compile(r"""(?:from|import)\s+["'](\./[^"']+)["']""")


def files_of(client: httpx.Client, path: str) -> dict[str, bytes]:
    """What the page loads of ours, by path; not what others wrote (``vendor``)."""
    page = client.get(path)
    wanted = [attribute(element, "href") for element in every(page, "link[rel=stylesheet]")]
    wanted += [attribute(element, "src") for element in every(page, "script[src]")]
    wanted += ["/static/live.js"] if every(page, "[data-when]") else []
    files: dict[str, bytes] = {}
    while wanted:
        name = wanted.pop()
        if "/vendor/" in name or name in files:
            continue
        files[name] = client.get(name).content
        if ".js" in name:
            wanted += [urljoin(name, module) for module in _IMPORT.findall(files[name].decode())]
    return files


def test_a_first_view_is_light(client: httpx.Client, visitor: httpx.Client, context: AppContext, alice: User) -> None:
    make_account(context, alice)
    message = write(context, alice, GALLERY[0])[0]
    heavy = {}
    for path in (
        "/sign-in",
        "/mail",
        f"/mail/{message.public_id}",
        "/compose",
        "/enquiries",
        "/settings/policy",
        "/sites",
    ):
        files = files_of(visitor if path == "/sign-in" else client, path)
        assert any(".css" in name for name in files)
        raw, compressed = sum(map(len, files.values())), sum(len(gzip.compress(file, 5)) for file in files.values())
        if raw > MOST_RAW or compressed > MOST_COMPRESSED - ROOM * (path == "/compose"):
            heavy[path] = (raw, compressed, {name: len(content) for name, content in files.items()})
    assert heavy == {}


@pytest.mark.parametrize("path", ["/mail", "/compose", "/static/ink.css"])
def test_what_is_asked_for_compressed_comes_compressed(client: httpx.Client, path: str) -> None:
    assert client.get(path, headers={"Accept-Encoding": "gzip"}).headers["content-encoding"] == "gzip"
