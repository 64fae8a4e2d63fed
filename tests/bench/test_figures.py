"""The table at the end of `python -m tests.bench`."""

from pathlib import Path

import pytest

from tests.bench.figures import FILE, add_figure, read_figures, table


def test_rows_say_whether_their_aim_is_met(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(FILE, str(tmp_path / "rows"))
    add_figure("Opens", 7582.4, "a second", ratio=0.414, at_least=0.4)
    add_figure("Opens, p99", 25.14, "ms", at_most=25)
    add_figure("Lost", 0, at_most=0)
    add_figure("Memory", 1234.5, "MB")
    monkeypatch.delenv(FILE)
    add_figure("Of a bench that runs by itself", 1)
    assert list(table([("python -m tests.bench.edge", read_figures(tmp_path / "rows")), ("nothing", [])]))[2:] == [
        "| Opens | 7,582 a second | 0.41 | ratio ≥ 0.4 | met | `python -m tests.bench.edge` |",
        "| Opens, p99 | 25.1 ms |  | ≤ 25 | **missed** | `python -m tests.bench.edge` |",
        "| Lost | 0 |  | ≤ 0 | met | `python -m tests.bench.edge` |",
        "| Memory | 1,234 MB |  |  |  | `python -m tests.bench.edge` |",
    ]
