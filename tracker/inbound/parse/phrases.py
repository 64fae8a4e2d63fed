"""Tables of phrases beside the code, as one regular expression each. Pure, but for reading them once."""

import tomllib
import unicodedata
from functools import cache
from importlib.resources import files


@cache
def phrases(file: str, table: str) -> str:
    """The phrases of a table of ``file``, whatever their language, as alternatives; to stand in a group."""
    tables: dict[str, dict[str, list[str]]] = tomllib.loads(
        files(__package__).joinpath(f"{file}.toml").read_text("utf-8")
    )
    return unicodedata.normalize("NFKC", "|".join(phrase for listed in tables[table].values() for phrase in listed))
