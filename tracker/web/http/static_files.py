"""Style sheets, scripts and pictures: addressed by what is in them, so that browsers may keep them for a year."""

import hashlib
from functools import cache, lru_cache
from os import PathLike, stat_result
from pathlib import Path
from urllib.parse import parse_qs

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

FOLDER = Path(__file__).parent.parent / "static"
YEAR = "public, max-age=31536000, immutable"


@cache
def static_url(name: str) -> str:
    """The address of ``static/<name>`` with the hash of what it held when it was first asked for."""
    path = FOLDER / name
    return f"/static/{name}?v={_hash(path, path.stat().st_mtime_ns)}"


@lru_cache(512)
def _hash(path: Path, _changed: int) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class Static(StaticFiles):
    """A file asked for under its present hash never changes; under any other address it is asked for again."""

    def __init__(self) -> None:
        super().__init__(directory=FOLDER)

    def file_response(
        self, full_path: str | PathLike[str], stat_result: stat_result, scope: Scope, status_code: int = 200
    ) -> Response:
        response = super().file_response(full_path, stat_result, scope, status_code)
        asked = parse_qs(scope.get("query_string", b"").decode("ascii", "replace")).get("v")
        fresh = asked == [_hash(Path(full_path), stat_result.st_mtime_ns)]
        response.headers["Cache-Control"] = YEAR if fresh else "no-cache"
        return response
