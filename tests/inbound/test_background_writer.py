"""Work in a thread of its own, in order; after something went wrong nothing more of it."""

import threading

import pytest

from tracker.inbound.fetch.background_writer import BACKLOG, BackgroundWriter


def test_work_is_done_in_order_and_waited_for() -> None:
    done: list[int] = []
    with BackgroundWriter() as behind:
        for number in range(20):
            behind.submit(lambda number=number: done.append(number))  # type: ignore[misc]
        behind.wait()
        assert done == list(range(20))


def test_too_much_work_is_waited_for() -> None:
    go, begun = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go.wait(20)
        done.append("first")

    with BackgroundWriter() as behind:
        behind.submit(first)
        begun.wait(20)
        for _ in range(BACKLOG - 1):
            behind.submit(lambda: done.append("next"))
        assert done == []
        threading.Timer(0.05, go.set).start()
        behind.submit(lambda: done.append("last"))
        assert done[0] == "first"
    assert done == ["first", *["next"] * (BACKLOG - 1), "last"]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_waits_behind_an_error_is_not_done(error: type[BaseException]) -> None:
    """A cursor must not move past letters that were not stored."""
    go, done = threading.Event(), []

    def fail() -> None:
        go.wait(20)
        raise error("no")

    def in_vain() -> None:
        with BackgroundWriter() as behind:
            behind.submit(fail)
            behind.submit(lambda: done.append("cursor"))
            go.set()
            behind.wait()

    with pytest.raises(error):
        in_vain()
    assert done == []


def test_after_an_error_of_the_callers_what_waits_is_not_begun() -> None:
    go, begun = threading.Event(), threading.Event()
    done: list[str] = []

    def first() -> None:
        begun.set()
        go.wait(20)
        done.append("first")

    def in_vain() -> None:
        with BackgroundWriter() as behind:
            behind.submit(first)
            behind.submit(lambda: done.append("second"))
            begun.wait(20)
            threading.Timer(0.05, go.set).start()
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011
        in_vain()
    assert done == ["first"]
