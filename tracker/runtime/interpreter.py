"""The interpreter of a process that serves: how its threads take turns, and what is never looked through for garbage."""

import gc
import sys

_TURN_SECONDS = 0.0005


def take_short_turns() -> None:
    """No thread keeps the interpreter long: those that wait for a database or a socket ask for it back thousands of times a second,
    and would wait ten times as long for each."""
    sys.setswitchinterval(_TURN_SECONDS)


def keep_what_is_loaded() -> None:
    """To be called once, when everything is imported and set up: that is no garbage, and to look through it again and again held
    every thread up for a tenth of a second."""
    gc.collect()
    gc.freeze()
