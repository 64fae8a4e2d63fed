"""The rules in force: windows, browsers of today, range files, and the name under which verdicts remember them."""

from dataclasses import dataclass
from functools import lru_cache

from tracker.engagement.judge.browsers import RELEASES, Releases
from tracker.engagement.judge.classify import rule_set
from tracker.engagement.judge.evidence import Net
from tracker.engagement.judge.ip_ranges import Table, newest_date, tags
from tracker.engagement.judge.windows import Windows
from tracker.engagement.range_files import tables_in_use
from tracker.runtime.context import AppContext
from tracker.runtime.database import now


@dataclass(frozen=True)
class RuleSet:
    """What a whole batch is judged by."""

    windows: Windows
    releases: Releases
    tables: tuple[Table, ...]
    name: str

    def net(self, ip: str, rdns: str | None) -> Net:
        """Everything known about an address; judges need ask no range file any more."""
        return Net(rdns=rdns, tags=tags(ip, self.tables))


def rules_of(context: AppContext) -> RuleSet:
    """The rules as they are now."""
    tables = tables_in_use(context.settings.data_dir)
    return RuleSet(
        _windows(context.settings.window_scale), RELEASES.on(now().date()), tables, rule_set(newest_date(tables))
    )


@lru_cache
def _windows(scale: float) -> Windows:
    return Windows().scaled(scale)
