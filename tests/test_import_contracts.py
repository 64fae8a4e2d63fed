"""Who may import whom: the contracts of pyproject.toml hold, are complete, and say what to do when broken."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Collection, Iterator
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grimp
import pytest

ROOT = Path(__file__).resolve().parent.parent
DOORS = {
    "pixel.tokens",
    "pixel.hits",
    "pixel.spool",
    "pixel.site_rules",
    "pixel.site_codes",
    "pixel.visit_sources",
    "pixel.source_conditions",
}

INSTEAD = {
    "lean-edge": "The edge must run alone with requirements-edge.txt. Put what both sides need into pixel/tokens.py or "
    "pixel/hits.py, or let the worker do it after the drain.",
    "three-doors": "The product may use pixel.tokens, pixel.hits and pixel.spool. Move what it needs behind one of these doors, or "
    "put it into the hit.",
    "layers": "Import only downwards. Outbound, engagement and inbound meet in models, mail and notifications: move what both need "
    "down there, or pass it in as a plain value from the layer above. A new package of tracker needs its place in the layers.",
    "foundations": "Rows know nothing of mail, and what runs knows nothing of rows: move what you need down, or hand it in.",
    "pure-judges": "A judge takes plain values and returns a verdict. Read rows, clock and network in the journey that calls it "
    "(ingest, send, accept) and hand the values in.",
}

# The judges, and what of the world outside they may know: nothing with a memory, a line or a clock.
JUDGES = (
    "tracker.consent.rules",
    "tracker.mail.addresses",
    "tracker.notifications.rules",
    "tracker.outbound.rewriter.rewriting",
    "tracker.outbound.rewriter.hidden_link",
    "tracker.outbound.rewriter.footer",
    "tracker.outbound.rewriter.document",
    "tracker.outbound.rewriter.html_scan",
    "tracker.engagement.judge.classify",
    "tracker.engagement.judge.sequence",
    "tracker.engagement.judge.judge_lines",
    "tracker.inbound.parse.identity",
    "tracker.inbound.parse.category",
    "tracker.inbound.repeat",
    "tracker.inbound.bind",
    "tracker.inbound.parse",
    "tracker.inbound.parse.reports",
    "tracker.inbound.parse.answers",
    "tracker.inbound.parse.dates",
    "tracker.inbound.parse.forwarded",
    "tracker.inbound.parse.description",
)
_HARMLESS = """__future__ base64 binascii bisect calendar codecs collections contextlib dataclasses datetime email enum functools
hashlib html idna importlib ipaddress itertools json math operator re string struct tomllib typing unicodedata urllib
chardet device_detector regex yaml_rs ahocorasick_rs turbohtml crawleruseragents ua_parser"""
HARMLESS = set(_HARMLESS.split())


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    listed: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return listed


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("pixel", "tracker", include_external_packages=True, cache_dir=None)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("imports")


def test_every_contract_has_its_advice() -> None:
    assert {contract["id"] for contract in contracts()} == set(INSTEAD)


@pytest.mark.parametrize("contract", INSTEAD)
def test_the_contract_holds(contract: str, cache: Path) -> None:
    linter = Path(sys.executable).with_name("lint-imports")
    command = [str(linter), "--no-logo", "--contract", contract, "--cache-dir", str(cache)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    is_kept = done.returncode == 0 and "1 kept, 0 broken" in done.stdout
    assert is_kept, f"{INSTEAD[contract]}\n{done.stdout}{done.stderr}"


def test_no_module_must_be_imported_before_another(graph: grimp.ImportGraph) -> None:
    """No import goes in a circle: any module may be the first, as in a command of its own."""
    modules = {name: path for name, path in ((name, _file_of(name)) for name in graph.modules) if path is not None}
    TopologicalSorter({name: _imported_at_once(path, modules.keys()) for name, path in modules.items()}).prepare()


def _file_of(module: str) -> Path | None:
    path = ROOT / module.replace(".", "/")
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.exists()), None)


def _imported_at_once(path: Path, modules: Collection[str]) -> set[str]:
    """Of these modules those that the file's own lines import, outside of functions."""
    names = set()
    for line in ast.parse(path.read_text("utf-8")).body:
        if isinstance(line, ast.Import):
            names |= {alias.name for alias in line.names}
        elif isinstance(line, ast.ImportFrom):
            below = [f"{line.module}.{alias.name}" for alias in line.names]
            names |= {name if name in modules else str(line.module) for name in below}
    return names & set(modules)


def test_all_but_the_three_doors_are_shut(graph: grimp.ImportGraph) -> None:
    (doors,) = [contract for contract in contracts() if contract["id"] == "three-doors"]
    inside = graph.find_children("pixel") - DOORS
    assert set(doors["forbidden_modules"]) == inside, "name every module of pixel but the doors in this contract"


def test_of_the_edges_settings_the_product_takes_the_keys_alone() -> None:
    """The contract lets tracker.runtime.context in for one function; this is it."""
    tree = ast.parse((ROOT / "tracker/runtime/context.py").read_text("utf-8"))
    taken = [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module == "pixel.settings"
        for alias in node.names
    ]
    assert taken == ["load_or_make_keys"]


def judged_modules(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    """Every module that a judge stands on, with the judge; what is outside of the project by its package."""
    for judge in JUDGES:
        if find_spec(judge) is not None:
            yield judge, judge
            yield from ((judge, module) for module in graph.find_upstream_modules(judge))


def test_judges_know_harmless_libraries_alone(graph: grimp.ImportGraph) -> None:
    strangers = {
        f"{judge} → {module}"
        for judge, module in judged_modules(graph)
        if not module.startswith("tracker.") and module not in HARMLESS
    }
    assert not strangers, (
        f"{INSTEAD['pure-judges']} Is the library without network, files and clock? Then add it to HARMLESS."
    )


def test_judges_read_no_clock_and_no_files(graph: grimp.ImportGraph) -> None:
    asked = {
        f"{module}:{node.lineno} {ast.unparse(node.func)}"
        for module in {module for _, module in judged_modules(graph) if module.startswith("tracker.")}
        for node in ast.walk(_tree(module))
        if isinstance(node, ast.Call) and _asks_the_world(node.func)
    }
    assert not asked, f"{INSTEAD['pure-judges']} The moment is a value too: {asked}"


def _asks_the_world(called: ast.expr) -> bool:
    if isinstance(called, ast.Attribute):
        return called.attr in {"now", "utcnow", "today", "getenv", "read_bytes", "urlopen"}
    return isinstance(called, ast.Name) and called.id in {"open", "input", "print"}


def _tree(module: str) -> ast.Module:
    spec = find_spec(module)
    assert spec is not None
    assert spec.origin is not None
    return ast.parse(Path(spec.origin).read_text("utf-8"))


def test_alembic_is_no_package_of_ours() -> None:
    assert not (ROOT / "alembic/__init__.py").exists(), "it would shadow the library of this name: delete it"
    assert not (ROOT / "tests/__init__.py").exists(), "tests are a namespace package: delete it"
