"""One word for one thing: words that have no meaning left in this code stay out of names and file names."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("tracker", "pixel", "tests", "templates")
INSTEAD = {
    "house": "context",
    "houses": "contexts",
    "front": "the combined application",
    "patience": "deadline, timeout",
    "surroundings": "hit_context",
    "crowds": "bursts",
    "stretches": "time_windows",
    "fetchers": "agent_rules",
    "ear": "idle_connection",
    "ears": "idle_connections",
    "hears": "is_subscribed",
    "hearing": "idle_watcher",
    "timetable": "schedule",
    "taking": "importer",
    "hurry": "poll_now",
    "greet": "print_startup",
    "reevaluate": "rejudge",
    "chapter": "entry_view",
    "hole": "missing_value",
    "holes": "missing_values",
    "kit": "compliance_documents",
    "papers": "compliance_documents",
    "speaking": "use_locale",
    "recognise": "authenticate",
    "ticked": "is_checked",
    "strike": "mark_not_recipient",
    "freeze": "restrict",
    "aside": "quarantine, postpone",
    "lookups": "reverse_dns",
}
"""The word, and what is said instead. `GLOSSARY.md` has the meanings."""

SAYS_NOTHING = {"found", "given", "kept", "one", "told"}
"""As the whole name of a variable, parameter or function: it says what happened to a thing, and not what it is."""


def words_of(name: str) -> set[str]:
    """The words of an identifier or file name: ``open_ear`` and ``OpenEar`` are open, ear."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text("utf-8"))))


def names_in(path: Path) -> Iterator[str]:
    for node in nodes_of(path):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield "" if node.name.startswith("test_") else node.name  # a test's name is a sentence
        elif isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield "" if ast.unparse(node) == "gc.freeze" else node.attr  # the language's own name
        elif isinstance(node, ast.arg | ast.keyword):
            yield node.arg or ""
        elif isinstance(node, ast.alias):
            yield f"{node.name} {node.asname or ''}"


def test_no_name_holds_a_word_without_meaning() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: {name}: say {INSTEAD[word]}, not {word}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*.py")
        for name in names_in(path)
        for word in words_of(name) & INSTEAD.keys()
    }
    assert wrong == set()


def test_no_file_is_called_by_a_word_without_meaning() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}: say {INSTEAD[word]}, not {word}"
        for folder in FOLDERS
        for path in (ROOT / folder).rglob("*")
        if "data" not in path.parts and "__pycache__" not in path.parts and "vendor" not in path.parts
        for word in words_of(path.stem) & INSTEAD.keys()
    }
    assert wrong == set()


def test_no_variable_is_called_by_what_happened_to_it() -> None:
    wrong = {
        f"{path.relative_to(ROOT)}:{node.lineno}: {name}"
        for folder, words in (("tracker", SAYS_NOTHING), ("pixel", SAYS_NOTHING), ("tests", SAYS_NOTHING | {"here"}))
        for path in (ROOT / folder).rglob("*.py")
        for node, name in defined_in(path)
        if name in words and (name, path.name) != ("told", "activity.py")  # a column of the database
    }
    assert wrong == set()


def defined_in(path: Path) -> Iterator[tuple[ast.Name | ast.arg | ast.FunctionDef, str]]:
    for node in nodes_of(path):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node, node.id
        elif isinstance(node, ast.arg):
            yield node, node.arg
        elif isinstance(node, ast.FunctionDef):
            yield node, node.name


def test_no_two_classes_of_the_product_have_one_name() -> None:
    places: dict[str, set[str]] = {}
    for folder in ("tracker", "pixel"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in nodes_of(path)[0].body:  # type: ignore[attr-defined]
                if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                    places.setdefault(node.name, set()).add(str(path.relative_to(ROOT)))
    assert {name: files for name, files in places.items() if len(files) > 1} == {}
