"""One row of the table that `python -m tests.bench` prints at its end: what a bench measured, beside its aim."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

FILE = "BENCH_FIGURES"
"""Environment: where a bench that is run for the table leaves its rows."""


@dataclass(frozen=True)
class Figure:
    """A figure with its unit; the aim is of the ratio where there is one, else of the figure."""

    row: str
    value: float
    unit: str = ""
    ratio: float | None = None
    at_least: float | None = None
    at_most: float | None = None

    @property
    def is_met(self) -> bool | None:
        """None when nothing was aimed at."""
        measured = self.value if self.ratio is None else self.ratio
        if self.at_least is not None:
            return measured >= self.at_least
        return None if self.at_most is None else measured <= self.at_most


def add_figure(
    row: str,
    value: float,
    unit: str = "",
    *,
    ratio: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Adds a row to the table; nothing when the bench runs by itself."""
    if file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as rows:
            rows.write(json.dumps(asdict(Figure(row, value, unit, ratio, at_least, at_most))) + "\n")


def read_figures(file: Path) -> list[Figure]:
    return [Figure(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def table(benches: Sequence[tuple[str, Sequence[Figure]]]) -> Iterator[str]:
    """Lines of Markdown: the rows of each bench, beside the command that measures them again."""
    yield "| what | figure | ratio | aim | | command |"
    yield "|---|---:|---:|---:|---|---|"
    for command, figures in benches:
        for each in figures:
            value = f"{_number(each.value)} {each.unit}".strip()
            ratio = "" if each.ratio is None else f"{each.ratio:.2f}"
            yield f"| {each.row} | {value} | {ratio} | {_aim(each)} | {_verdict(each)} | `{command}` |"


def _aim(figure: Figure) -> str:
    sign, aim = ("≥", figure.at_least) if figure.at_least is not None else ("≤", figure.at_most)
    if aim is None:
        return ""
    return f"{'' if figure.ratio is None else 'ratio '}{sign} {_number(aim)}"


def _verdict(figure: Figure) -> str:
    return {True: "met", False: "**missed**", None: ""}[figure.is_met]


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"
