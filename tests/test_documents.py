"""What is promised is written down, and nothing is written down that must not be."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import asdict
from html.parser import HTMLParser
from pathlib import Path
from typing import get_args

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from pixel.limits import Budgets
from tests.commands.test_command_line import COMMANDS
from tests.fixtures.api_description import api_description
from tests.servers.processes import unavailable
from tracker.consent.rules import GRADES, RULES
from tracker.engagement.judge.verdict import ALERT_CONFIDENCE, VerdictClass
from tracker.engagement.judge.windows import Windows
from tracker.models import Category
from tracker.privacy.periods import DEFAULTS
from tracker.runtime.settings import NAMES, read_settings

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
PAGES = [path for path in TEMPLATES if path.parent.name != "compliance"]
"""Without what people take away as a file of its own, which brings its style along."""
README = (ROOT / "README.md").read_text("utf-8")
GUIDE = {path.name: path.read_text("utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
"""What README.md leads to, by file name."""
DOCUMENTS = {
    path.relative_to(ROOT).as_posix(): path.read_text("utf-8") for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]
}
BOTH = "\n".join([README, *GUIDE.values()])

# In pieces, so that this file does not hold what it looks for.
REGISTRIES = [".".join(name) for name in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))]
REGISTRIES += [".".join(name) for name in (("yarnpkg", "com"), ("crates", "io"), ("proxy", "golang", "org"))]
OUR_PATHS = ["/".join(("", "work", "main")), "/".join(("", "work", "shared")), "/".join(("", "root", ""))]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 200, "README.md is for the person who installs; the rest belongs to docs/"


@pytest.mark.parametrize("name", GUIDE)
def test_the_readme_leads_to_every_document(name: str) -> None:
    assert f"](docs/{name})" in README, f"add docs/{name} to the table at the end of README.md"


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_explained(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`", GUIDE["settings.md"], re.MULTILINE), f"explain {name} in docs/settings.md"


def test_the_documents_speak_of_settings_that_are() -> None:
    named = set(re.findall(r"\bINKLING_[A-Z_]*[A-Z]", BOTH))
    assert {name for name in named if name.removesuffix("_FILE") not in NAMES and name not in NAMES} == set()


def documented_defaults() -> dict[str, str]:
    """What docs/settings.md says of settings that are numbers."""
    rows = re.findall(r"^\| (`INKLING_[^|]+) \| ([^|]+) \|", GUIDE["settings.md"], re.MULTILINE)
    pairs = [(re.findall(r"`(\w+)`", names), [*map(str.strip, defaults.split(","))]) for names, defaults in rows]
    return {
        name: default
        for names, defaults in pairs
        for name, default in zip(names, defaults, strict=False)
        if default.isdigit()
    }


@pytest.mark.parametrize(("name", "default"), documented_defaults().items())
def test_defaults_are_those_of_the_product(name: str, default: str, tmp_path: Path) -> None:
    field = name.removeprefix("INKLING_").lower()
    budgets = {f"hits_{name}": value for name, value in asdict(Budgets()).items()}
    settings = read_settings({"INKLING_DATA_DIR": str(tmp_path)}, dotenv=tmp_path / ".env")
    assert float(default) == budgets.get(field, getattr(settings, field))


def explained_commands() -> dict[str, str]:
    """The calls in docs/commands.md, by the words of the command."""
    calls = [
        call.replace("\\|", "|") for call in re.findall(r"^\| `inkling ([^`]+)`", GUIDE["commands.md"], re.MULTILINE)
    ]
    return {command: call for call in calls for command in COMMANDS if f"{call} ".startswith(f"{command} ")}


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_explained_with_its_options(command: str) -> None:
    call = explained_commands().get(command)
    assert call is not None, f"explain `inkling {command}` in a row of docs/commands.md"
    options = {option for action in COMMANDS[command]._actions for option in action.option_strings} - {"-h", "--help"}
    assert set(re.findall(r"--[a-z-]+", call)) == options


def test_the_documents_speak_of_commands_that_are() -> None:
    words = {command.partition(" ")[0] for command in COMMANDS}
    assert set(re.findall(r"(?:`|bin/)inkling ([a-z]+)", BOTH)) <= words
    assert set(explained_commands()) == set(COMMANDS)
    assert len(re.findall(r"^\| `inkling ", GUIDE["commands.md"], re.MULTILINE)) == len(COMMANDS)


def make_targets() -> list[str]:
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    return [match[1] for line in lines if (match := re.match(r"([a-z]+):", line))]


@pytest.mark.parametrize("target", make_targets())
def test_every_make_target_is_explained(target: str) -> None:
    assert f"| `make {target}` |" in GUIDE["commands.md"], f"explain `make {target}` in docs/commands.md"


def test_the_documents_speak_of_targets_that_are() -> None:
    assert set(re.findall(r"`make ([a-z]+)", BOTH)) <= set(make_targets())


def api_calls() -> list[str]:
    paths = api_description()["paths"]
    return [f"{method.upper()} {path}" for path, methods in paths.items() for method in methods]


@pytest.mark.parametrize("call", api_calls())
def test_every_call_of_the_api_is_explained(call: str) -> None:
    assert f"`{call}`" in GUIDE["api.md"], f"explain {call} in docs/api.md"


def test_the_documents_speak_of_calls_that_are() -> None:
    named = re.findall(r"`((?:GET|POST|PUT|PATCH|DELETE) /[^`]*)`", BOTH)
    assert {call.replace(" /api/v1/", " /") for call in named} <= set(api_calls())


@pytest.mark.parametrize("name", [*get_args(VerdictClass), *Category])
def test_every_class_and_category_is_explained(name: str) -> None:
    assert f"| `{name}` |" in GUIDE["verdicts.md"], f"say in docs/verdicts.md what {name} is, and how it is known"


def test_waiting_times_are_those_of_the_product() -> None:
    windows, text = Windows(), " ".join(GUIDE["verdicts.md"].split())
    assert f"{windows.settle_open:.0f} seconds for an open" in text
    assert f"{windows.settle_click:.0f} seconds for a click" in text
    assert f"else {windows.settle_later:.0f} seconds" in text
    assert f"a confidence of {ALERT_CONFIDENCE} or more" in text


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_of_consent_is_explained(rule: str) -> None:
    assert re.search(rf"^\| .*`{rule}`", GUIDE["privacy.md"], re.MULTILINE), (
        f"explain the rule {rule} in docs/privacy.md"
    )


def test_grades_and_periods_are_those_of_the_product() -> None:
    rows = re.findall(r"^\| (?:\*\*([A-Z])\*\*|[^|]+) \| *([\d,]*)", GUIDE["privacy.md"], re.MULTILINE)
    assert [grade for grade, _ in rows if grade] == list(GRADES)
    assert [int(days.replace(",", "")) for _, days in rows if days][: len(DEFAULTS)] == list(DEFAULTS.values())


def test_the_architecture_names_every_package() -> None:
    table = GUIDE["architecture.md"].partition("## Packages")[2]
    named = [
        name.rstrip("/")
        for row in re.findall(r"^\| (`.+?) \|", table, re.MULTILINE)
        for name in re.findall(r"`(.+?)`", row)
    ]
    there = {f"{top}/{name}" for top in ("tracker", "pixel") for name in parts_of(ROOT / top)}
    assert set(named) == there, (
        "put each package and module into the row of docs/architecture.md that says what it holds"
    )
    assert len(named) == len(set(named))


def parts_of(package: Path) -> list[str]:
    """The packages and modules at the top of a package, by their names in the file system."""
    packages = [path.parent.name for path in package.glob("*/__init__.py")]
    return packages + [path.name for path in package.glob("*.py") if path.name != "__init__.py"]


DECISION = re.compile(r"^### (\d+)\. (.+)\n(.+(?:\n.+)*)", re.MULTILINE)


def test_decisions_are_numbered_and_say_all_four_things() -> None:
    decisions = DECISION.findall(DOCUMENTS["DECISIONS.md"])
    assert [int(number) for number, _, _ in decisions] == list(range(1, DOCUMENTS["DECISIONS.md"].count("\n### ") + 1))
    for number, _, content in decisions:
        assert re.findall(r"^\*\*(\w+)\.\*\* .", content, re.MULTILINE) == [
            "Context",
            "Decision",
            "Cost",
            "Rejected",
        ], number


def test_decisions_are_named_by_their_titles() -> None:
    """Their numbers change."""
    titles = [title for _, title, _ in DECISION.findall(DOCUMENTS["DECISIONS.md"])]
    sources = {name: text for name, text in kept_files() if name.endswith((".py", ".html", ".md"))}
    named = [
        title for text in sources.values() for title in re.findall(r"DECISIONS\.md, “([^”]+)”", " ".join(text.split()))
    ]
    assert [name for name in named if not any(title.startswith(name) for title in titles)] == []
    by_number = re.compile(r"DECISIONS(?:\.md)?,? \d|\(decisions? \d", re.IGNORECASE)
    assert [name for name, text in sources.items() if by_number.search(text)] == [], "name the decision by its title"


def links() -> list[tuple[str, str]]:
    """Every link of a document to another file or heading of ours: where it stands, and where it leads."""
    named = [(name, link) for name, text in DOCUMENTS.items() for link in re.findall(r"\]\(([^)\s]+)\)", text)]
    return [(name, link) for name, link in named if not re.match(r"[a-z]+:", link)]


@pytest.mark.parametrize(("document", "link"), links())
def test_links_lead_somewhere(document: str, link: str) -> None:
    path, _, heading = link.partition("#")
    file = (ROOT / document).parent / path if path else ROOT / document
    assert file.exists(), f"{document} links to {link}, which is not there"
    if heading:
        headings = re.findall(r"^#+ (.+)$", file.read_text("utf-8"), re.MULTILINE)
        assert heading in {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}


PATH = re.compile(r"(?<![\w/.])(?:tracker|pixel|tests|templates|alembic|deploy|docs|scripts)/[\w./-]*")


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_a_document_names_are_there(document: str) -> None:
    named = [path.rstrip(".") for path in PATH.findall(DOCUMENTS[document])]
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_the_changelog_begins_with_a_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert re.match(r"\d+\.\d+\.\d+\b", headings[0]), (
        "the version is read from the first heading, such as ## 1.2.0 — 2026-12-01"
    )
    versions = [tuple(map(int, heading.split()[0].split("."))) for heading in headings]
    assert versions == sorted(versions, reverse=True), "the newest release comes first"


def kept_files() -> Iterator[tuple[str, str]]:
    """Every text file in git, with its text."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listing.returncode:
        unavailable("this is no git checkout: nobody knows which files belong to it")
    for name in filter(None, listing.stdout.decode().split("\0")):
        path = ROOT / name
        if path.is_file():
            yield name, path.read_bytes().decode("utf-8", "replace")


def test_no_file_names_a_package_registry() -> None:
    """Where packages come from is the affair of who installs them."""
    problems = [f"{name}: {host}" for name, content in kept_files() for host in REGISTRIES if host in content]
    assert problems == [], "take the address out; a lock file holds versions and hashes alone"


def test_no_file_names_a_folder_of_one_machine() -> None:
    home = re.compile("/".join(("", "home", r"[a-z]\w+", "")))
    problems = [
        f"{name}: {path}"
        for name, content in kept_files()
        for path in [*(ours for ours in OUR_PATHS if ours in content), *home.findall(content)]
    ]
    assert problems == [], "use a relative path, or a temporary folder"


def test_every_template_is_read() -> None:
    assert len(TEMPLATES) > 20


class Inline(HTMLParser):
    """Finds what a page must not hold: a Content-Security-Policy without 'unsafe-inline' would not run it."""

    def __init__(self) -> None:
        super().__init__()
        self.problems: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        data = attributes.get("type") in ("application/json", "text/template")
        if tag == "script" and "src" not in attributes and not data:
            self.problems.append(f"line {self.getpos()[0]}: <script> without src")
        if tag == "style":
            self.problems.append(f"line {self.getpos()[0]}: <style>")
        for name, value in attrs:
            if re.match(r"on[a-z]", name) or name == "style":
                self.problems.append(f"line {self.getpos()[0]}: {name}=")
            if (value or "").strip().lower().startswith("javascript:"):
                self.problems.append(f"line {self.getpos()[0]}: {name}=javascript:")


@pytest.mark.parametrize("template", PAGES, ids=lambda path: path.name)
def test_pages_hold_no_script_and_no_style(template: Path) -> None:
    inline = Inline()
    # The language of the templates is blanked, so that it cannot hide a tag; what it prints is the pages' own tests' affair.
    inline.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", _blank, template.read_text("utf-8"), flags=re.DOTALL))
    inline.close()
    assert inline.problems == [], (
        "put it into a file of tracker/web/static and find the element by a data attribute or a class"
    )


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", "x" if match[0].startswith("{{") else " ", match[0])


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_what_is_not_escaped_has_its_reason(template: Path) -> None:
    """`|safe` and `{% autoescape false %}` need a comment on the same line or the one before."""
    lines = ["", *template.read_text("utf-8").splitlines()]
    bare = [
        number
        for number, line in enumerate(lines)
        if re.search(r"\|\s*safe\b|autoescape\s+false", line)
        and not re.search(r"\{#.{10,}#\}", lines[number - 1] + line)
    ]
    assert bare == [], f"{template.name}: say in a comment who made this markup, and why it can be trusted"


def test_templates_are_escaped_by_default() -> None:
    """And every one of them can be read at all."""
    environment = Environment(
        loader=FileSystemLoader(ROOT / "templates"), autoescape=True, extensions=["jinja2.ext.i18n", "jinja2.ext.do"]
    )
    for template in TEMPLATES:
        tree = environment.parse(template.read_text("utf-8"))
        assert isinstance(tree, nodes.Template)
