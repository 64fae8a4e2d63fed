"""Inside the image, as its user: every role becomes healthy, answers, and stops; `scripts/image` runs this."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

ENTRY, COMMAND, HEALTH = json.loads(sys.argv[1])
PAGES = ("/sign-in", "/static/frame.css", "/static/vendor/squire.js", "/static/vendor/purify.min.js")


def main() -> None:
    assert os.getuid() == 10001
    assert not os.access("/", os.W_OK)
    assert not os.access("/opt/inkling", os.W_OK)
    assert "CapBnd:\t0000000000000000\n" in Path("/proc/self/status").read_text()
    print(said("migrate"), flush=True)
    try_role(COMMAND, *PAGES, "/o/x.gif", "/healthz")
    try_role(["web"], *PAGES)
    try_role(["edge"], "/o/x.gif", INKLING_DATA_DIR="/tmp/edge")
    try_role(["demo", "--port", "8000"], *PAGES)
    print(said("backup", "/tmp/copy.tar.gz"), said("check"), sep="\n", flush=True)


def said(*words: str) -> str:
    done = subprocess.run([*ENTRY, *words], capture_output=True, text=True)
    assert done.returncode in (0, 1), done.stderr
    return done.stdout.strip()


def try_role(words: list[str], *paths: str, **environ: str) -> None:
    process = subprocess.Popen([*ENTRY, *words], env=os.environ | environ, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 120
    while subprocess.run(HEALTH, stderr=subprocess.DEVNULL).returncode:
        assert process.poll() is None, f"{words} has ended"
        assert time.monotonic() < end, f"{words} does not become healthy"
        time.sleep(0.3)
    for path in paths:
        assert page(path), path
    if "/sign-in" in paths:
        assert b'lang="ru"' in page("/sign-in", "ru")
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) in (0, -signal.SIGTERM)
    print("ok   ", *words, f"(stopped within {time.monotonic() - begin:.1f} s)", flush=True)


def page(path: str, language: str = "en") -> bytes:
    request = Request(f"http://127.0.0.1:8000{path}", headers={"Accept-Language": language})
    with urlopen(request, timeout=20) as answer:
        content: bytes = answer.read()
    return content


if __name__ == "__main__":
    main()
