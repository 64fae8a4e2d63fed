"""Catalogues: every ``<language>/<part>.po`` merged into one, compiled in memory when a language is first spoken."""

from gettext import GNUTranslations
from io import BytesIO
from pathlib import Path

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

HERE = Path(__file__).parent


def read_catalogue(language: str) -> GNUTranslations:
    """All translations of a language. There is nothing to compile or install: the .po files are the only source."""
    merged = Catalog(locale=language)
    for path in part_files(language):
        for message in read_part(path):
            if message.id and message.string:
                merged.add(message.id, message.string, context=message.context)
    compiled = BytesIO()
    write_mo(compiled, merged)
    compiled.seek(0)
    return GNUTranslations(compiled)


def part_files(language: str) -> list[Path]:
    return sorted((HERE / language).glob("*.po"))


def read_part(path: Path) -> Catalog:
    """One part of a catalogue; an empty one when the file is not there yet."""
    if not path.exists():
        return Catalog(locale=path.parent.name)
    with path.open("rb") as file:
        return read_po(file, locale=path.parent.name)
