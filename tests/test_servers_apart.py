"""A browser in one file leaves the next file free to run event loops."""

import asyncio


def test_the_browser_of_another_file_does_not_block_asyncio() -> None:
    assert asyncio.run(asyncio.sleep(0, "ran")) == "ran"
