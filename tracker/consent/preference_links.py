"""The addresses by which a recipient reaches their own page: signed, without login, and without anything about the person.

A token is fixed in length and built of ``A–Z a–z 0–9 - _`` alone. Nobody can change or make one; anybody can see that two
of them are about the same recipient, and nothing else.
"""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from functools import cache

from itsdangerous import BadData, URLSafeTimedSerializer
from itsdangerous.signer import Signer

from tracker.runtime.context import AppContext

PATH = "/r/"
"""How the addresses of these pages begin."""
PAGE_VALUE_SECONDS = 2 * 60 * 60
"""How long a page may stand open before what it was made with is too old to agree by."""

_VERSION = "1"
_FIRST_DAY = date(2020, 1, 1)
_NOTHING = "0" * 11
_ID = r"[A-Za-z0-9_-]{11}"
_TOKEN = re.compile(rf"({_VERSION}([cao])({_ID})({_ID})([0-9]{{5}})([0-9a-f]{{8}}))([A-Za-z0-9_-]{{43}})")
_IN_PATH = re.compile(r"/r/([A-Za-z0-9_-]{80})(?![A-Za-z0-9_-])")


class LinkKind(StrEnum):
    """What a link is for: it stands in a tracked ``copy``, it asks for consent, or it was mailed to open one's ``own`` page."""

    COPY = "c"
    ASK = "a"
    OWN = "o"


@dataclass(frozen=True)
class PreferenceLink:
    """What the link of a recipient states."""

    kind: LinkKind
    recipient: str
    """The recipient's public id."""
    copy: str
    """The public id of the delivery it was made for; empty for none."""
    day: date
    """When it was made."""
    mark: str = "0" * 8
    """Digest of the footer line that carries it, by :func:`tracker.outbound.rewriter.footer.mark_of`."""


class PreferenceLinks:
    """Signs and reads. The newest key (the first) signs, every key verifies."""

    def __init__(self, keys: Sequence[str]) -> None:
        # itsdangerous wants the newest key last.
        oldest_first = list(reversed(keys))
        self._signer = Signer(oldest_first, "inkling.choice.link", key_derivation="hmac", digest_method=hashlib.sha256)
        self._pages = URLSafeTimedSerializer(oldest_first, salt="inkling.choice.page")

    def token(self, link: PreferenceLink) -> str:
        days = (link.day - _FIRST_DAY).days
        said = f"{_VERSION}{link.kind}{link.recipient}{link.copy or _NOTHING}{days:05d}{link.mark}"
        return said + self._signer.get_signature(said).decode()

    def read(self, token: str) -> PreferenceLink | None:
        """What a token states; None for anything that we did not make. Never raises."""
        match = _TOKEN.fullmatch(token)
        if match is None or not self._signer.verify_signature(match[1].encode(), match[7].encode()):
            return None
        copy = "" if match[4] == _NOTHING else match[4]
        return PreferenceLink(LinkKind(match[2]), match[3], copy, _FIRST_DAY + timedelta(days=int(match[5])), match[6])

    def read_url(self, url: str) -> PreferenceLink | None:
        """The same for a whole address, on any host that we ever had."""
        match = _IN_PATH.search(url) if PATH in url else None
        return self.read(match[1]) if match else None

    def page_value(self, token: str, chain: int) -> str:
        """What a page holds so that agreeing needs the page: bound to the link and to the ledger as the page showed it."""
        return self._pages.dumps([_digest(token), chain])

    def made_by_page(self, value: str, token: str, chain: int) -> bool:
        """Whether this page was ours, was about this link, and nothing was said since it was made."""
        try:
            said: object = self._pages.loads(value, max_age=PAGE_VALUE_SECONDS)
        except BadData:
            return False
        return said == [_digest(token), chain]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()[:32]


@cache
def links_of(keys: tuple[str, ...]) -> PreferenceLinks:
    """The links that these keys sign, the newest key first."""
    return PreferenceLinks(keys)


def preference_links(context: AppContext) -> PreferenceLinks:
    return links_of(tuple(context.keyring.keys))


def preference_url(context: AppContext, link: PreferenceLink) -> str:
    """A recipient's own page. It lives where pixel and links live: that host is open to everybody, the pages need not be."""
    return f"{context.settings.tracking_url}{PATH}{preference_links(context).token(link)}"
