"""What is ready at one moment shares a transaction; what is wrong with one item costs no other."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from tracker.runtime.group_commit import LARGEST_GROUP, GroupCommit


class Writer:
    """Holds the first group back until it is let go; refuses odd items."""

    def __init__(self) -> None:
        self.groups: list[list[int]] = []
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def write(self, group: Sequence[int]) -> list[str]:
        self.groups.append(list(group))
        self.begun.set()
        assert self.may_go_on.wait(10)
        if any(number % 2 for number in group):
            raise ValueError(f"odd among {group}")
        return [str(number) for number in group]


@pytest.fixture
def writer() -> Writer:
    return Writer()


@pytest.fixture
def commits(writer: Writer) -> Iterator[GroupCommit[int, str]]:
    group_commit = GroupCommit(writer.write)
    yield group_commit
    writer.may_go_on.set()
    group_commit.close()


def gathered(writer: Writer, commits: GroupCommit[int, str], numbers: Sequence[int]) -> list[Future[str]]:
    """What is put in while the first group, of zero alone, is being written."""
    first = commits.put(0)
    assert writer.begun.wait(10)
    futures = [first, *map(commits.put, numbers)]
    writer.may_go_on.set()
    return futures


def test_what_gathers_while_one_group_is_written_is_the_next(writer: Writer, commits: GroupCommit[int, str]) -> None:
    futures = gathered(writer, commits, [2, 4, 6])
    assert [future.result(10) for future in futures] == ["0", "2", "4", "6"]
    assert writer.groups == [[0], [2, 4, 6]]


def test_what_is_wrong_with_one_costs_no_other(writer: Writer, commits: GroupCommit[int, str]) -> None:
    futures = gathered(writer, commits, [2, 3, 4])
    assert [futures[1].result(10), futures[3].result(10)] == ["2", "4"]
    with pytest.raises(ValueError, match=r"odd among \[3\]"):
        futures[2].result(10)
    assert writer.groups == [[0], [2, 3, 4], [2], [3], [4]]


def test_a_group_has_an_end(writer: Writer, commits: GroupCommit[int, str]) -> None:
    numbers = range(2, 2 * LARGEST_GROUP + 6, 2)
    futures = gathered(writer, commits, numbers)
    assert [future.result(10) for future in futures[1:]] == [str(number) for number in numbers]
    assert [len(group) for group in writer.groups] == [1, LARGEST_GROUP, 2]


def test_closing_writes_what_still_waits(writer: Writer, commits: GroupCommit[int, str]) -> None:
    futures = gathered(writer, commits, [2, 4])
    commits.close()
    assert all(future.done() for future in futures)
