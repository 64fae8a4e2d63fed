"""Collects the words of the pages and brings the parts of the Russian catalogue up to date.

``python -m tracker.locale [PART …]`` (or ``scripts/translations``) adds new strings with an empty translation and drops
those no longer used, in the named parts only (all when none is named). Exit code 1 while a translation is missing.
"""

import sys
from pathlib import Path

from babel.messages import Catalog
from babel.messages.pofile import write_po

from tracker.locale.catalogue import HERE, part_files, read_part
from tracker.locale.words import Key, Word, collect, key_of

LANGUAGE = "ru"
# Without dates and names: they would differ at every run and say nothing.
HEADER = """msgid ""
msgstr ""
"Language: ru\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: nplurals=3; plural=(n%10==1 && n%100!=11 ? 0 : n%10>=2 && n%10<=4 && (n%100<10 || n%100>=20) ? 1 : 2);\\n"

"""


def main(parts: list[str]) -> int:
    words = collect()
    known = sorted({word.part for word in words.values()})
    unknown = [part for part in parts if part not in known]
    if unknown:
        print(f"There is no part {unknown[0]}; parts are {', '.join(known)}.", file=sys.stderr)
        return 2
    for part in parts or known:
        renew(part, words)
    gaps = missing(words)
    for word in gaps:
        print(f"{LANGUAGE}/{word.part}.po lacks {word.id!r} ({word.places[0][0]})", file=sys.stderr)
    return 1 if gaps else 0


def renew(part: str, words: dict[Key, Word]) -> None:
    """Rewrites one part: its translations kept, its new words empty, its unused words gone."""
    path = HERE / LANGUAGE / f"{part}.po"
    before = read_part(path)
    elsewhere = _translated(skip=path)
    after = Catalog(locale=LANGUAGE)
    for key, word in words.items():
        kept = before.get(word.id, word.context)
        if key not in elsewhere and (kept or word.part == part):
            after.add(word.id, kept.string if kept else None, locations=word.places, context=word.context)
    _write(path, after)


def missing(words: dict[Key, Word]) -> list[Word]:
    """The words without a complete translation."""
    done = _translated()
    return [word for key, word in words.items() if key not in done]


def _translated(skip: Path | None = None) -> set[Key]:
    done: set[Key] = set()
    for path in part_files(LANGUAGE):
        if path != skip:
            done |= {key_of(message) for message in read_part(path) if message.id and _is_complete(message.string)}
    return done


def _is_complete(string: str | list[str] | tuple[str, ...] | None) -> bool:
    return all(string) if isinstance(string, (list, tuple)) else bool(string)


def _write(path: Path, catalogue: Catalog) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        file.write(HEADER.encode())
        write_po(file, catalogue, width=0, omit_header=True, sort_by_file=True, include_lineno=False)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
