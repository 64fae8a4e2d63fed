"""`make bench`: every bench in one run, each beside its peers and limits. Figures only; nothing is asserted."""

import platform
import subprocess
import sys
from datetime import UTC, datetime

BENCHES = ("edge", "rewriter", "ingest", "gateway", "judge", "letters", "binding", "inbound", "sites", "rest")


def main() -> int:
    """Prints one section per bench."""
    print(
        f"# Figures of {datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}\n",
        flush=True,
    )
    failed = 0
    for bench in BENCHES:
        print(f"## {bench}\n", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"tests.bench.{bench}"], check=False).returncode != 0
        print(flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
