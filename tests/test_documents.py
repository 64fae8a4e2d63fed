"""What is promised is written down, and nothing is written down that must not be."""

import re
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from jinja2 import Environment, FileSystemLoader, nodes

from tests.commands.test_command_line import COMMANDS
from tests.servers_ground import unavailable
from tracker.settings import NAMES

ROOT = Path(__file__).resolve().parent.parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
README = (ROOT / "README.md").read_text("utf-8")

# In pieces, so that this file does not hold what it looks for.
REGISTRIES = [".".join(name) for name in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))]
REGISTRIES += [".".join(name) for name in (("yarnpkg", "com"), ("crates", "io"), ("proxy", "golang", "org"))]
OUR_PATHS = ["/".join(("", "work", "main")), "/".join(("", "work", "shared")), "/".join(("", "root", ""))]


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert re.search(rf"\b{name}\b", README), f"explain {name} in the table of settings of README.md"


def test_the_readme_speaks_of_settings_that_are() -> None:
    spoken_of = set(re.findall(r"\bINKLING_[A-Z_]*[A-Z]", README))
    assert {name for name in spoken_of if name.removesuffix("_FILE") not in NAMES and name not in NAMES} == set()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"(\binkling |`){command}\b", README), f"explain `inkling {command}` in README.md"


def test_the_readme_speaks_of_commands_that_are() -> None:
    words = {command.partition(" ")[0] for command in COMMANDS}
    assert set(re.findall(r"(?:`|bin/)inkling ([a-z]+)", README)) <= words


def make_targets() -> list[str]:
    lines = (ROOT / "Makefile").read_text("utf-8").splitlines()
    return [found[1] for line in lines if (found := re.match(r"([a-z]+):", line))]


@pytest.mark.parametrize("target", make_targets())
def test_every_make_target_is_in_the_readme(target: str) -> None:
    assert re.search(rf"\bmake {target}\b", README), f"explain `make {target}` in README.md"


def test_the_readme_speaks_of_targets_that_are() -> None:
    assert set(re.findall(r"`make ([a-z]+)", README)) <= set(make_targets())


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
    found = [f"{name}: {host}" for name, content in kept_files() for host in REGISTRIES if host in content]
    assert found == [], "take the address out; a lock file holds versions and hashes alone"


def test_no_file_names_a_folder_of_one_machine() -> None:
    home = re.compile("/".join(("", "home", r"[a-z]\w+", "")))
    found = [
        f"{name}: {path}"
        for name, content in kept_files()
        for path in [*(ours for ours in OUR_PATHS if ours in content), *home.findall(content)]
    ]
    assert found == [], "use a relative path, or a temporary folder"


def test_every_template_is_read() -> None:
    assert len(TEMPLATES) > 20


class Inline(HTMLParser):
    """Finds what a page must not hold: a Content-Security-Policy without 'unsafe-inline' would not run it."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        data = given.get("type") in ("application/json", "text/template")
        if tag == "script" and "src" not in given and not data:
            self.found.append(f"line {self.getpos()[0]}: <script> without src")
        if tag == "style":
            self.found.append(f"line {self.getpos()[0]}: <style>")
        for name, value in attrs:
            if re.match(r"on[a-z]", name) or name == "style":
                self.found.append(f"line {self.getpos()[0]}: {name}=")
            if (value or "").strip().lower().startswith("javascript:"):
                self.found.append(f"line {self.getpos()[0]}: {name}=javascript:")


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.name)
def test_templates_hold_no_script_and_no_style(template: Path) -> None:
    inline = Inline()
    # The language of the templates is blanked, so that it cannot hide a tag; what it prints is the pages' own tests' affair.
    inline.feed(re.sub(r"\{#.*?#\}|\{%.*?%\}|\{\{.*?\}\}", _blank, template.read_text("utf-8"), flags=re.DOTALL))
    inline.close()
    assert inline.found == [], (
        "put it into a file of tracker/web/static and find the element by a data attribute or a class"
    )


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", "x" if found[0].startswith("{{") else " ", found[0])


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
