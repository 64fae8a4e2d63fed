"""What a browser's User-Agent promises about its header fields, and how old the browser is."""

import json
import re
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from importlib.resources import files

CHROME_RELEASE_EVERY = timedelta(weeks=4)


@dataclass(frozen=True)
class Releases:
    """The newest Chrome major version and the day that was so."""

    as_of: str
    chrome_major: int

    def on(self, day: date) -> "Releases":
        """Carried forward to a later day by Chrome's four-week rhythm; never backward."""
        passed = max((day - date.fromisoformat(self.as_of)) // CHROME_RELEASE_EVERY, 0)
        return Releases(day.isoformat(), self.chrome_major + passed)


def _shipped() -> Releases:
    data = json.loads((files("tracker.engagement") / "data" / "browsers.json").read_text("utf-8"))
    return Releases(data["date"], data["chrome_major"])


RELEASES = _shipped()


@dataclass(frozen=True)
class Browser:
    """`engine` is "chromium", "gecko", "webkit", "ie", "old" (Presto, old Edge) or "" for what is no browser."""

    engine: str
    major: int = 0
    chrome_major: int = 0

    @property
    def sends_sec_fetch(self) -> bool:
        """Since Chrome 80 and Firefox 90 on every HTTPS request; Safari's versions differ too much to rely on."""
        first = {"chromium": 80, "gecko": 90}.get(self.engine)
        return first is not None and self.major >= first


@lru_cache(maxsize=65536)
def browser(user_agent: str) -> Browser:
    """Which engine this User-Agent claims, as far as the rules need it."""
    chrome = _number(r"\b(?:Headless)?Chrom(?:e|ium)/(\d+)", user_agent)
    if re.search(r"MSIE \d|Trident/", user_agent):
        return Browser("ie")
    if re.search(r"\bEdge/\d|Presto/|^Opera/", user_agent):
        return Browser("old", chrome_major=chrome)
    if chrome and "AppleWebKit/" in user_agent:
        return Browser("chromium", chrome, chrome)
    if "AppleWebKit/" in user_agent:
        return Browser("webkit", _number(r"\bVersion/(\d+)", user_agent))
    if "Gecko/" in user_agent and user_agent.startswith("Mozilla/"):
        return Browser("gecko", _number(r"\bFirefox/(\d+)", user_agent))
    return Browser("")


def _number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    return int(match.group(1)[:9]) if match else 0
