"""Python's collector of reference cycles, kept out of batches."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """A batch makes a hundred thousand values that all live until its end; to look for cycles among them again and again
    takes a third of the time. Several threads may be here at once: whoever came first switches collecting on again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
