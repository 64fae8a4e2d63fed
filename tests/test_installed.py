"""Installed into a folder of its own, as the image and the service are, with no repository around, all of it works."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from pixel.spool import Spool
from tests.servers import free_port
from tests.servers.processes import end, listening, require, wait_until
from tracker.runtime.context import AppContext
from tracker.runtime.settings import NAMES, read_settings
from tracker.web.health import collect_metrics, edge_figures

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, by the steps of the Dockerfile."""
    folder = tmp_path_factory.mktemp("installed") / "inkling"
    subprocess.run([ROOT / "deploy" / "install", folder], check=True, capture_output=True)
    return folder / "bin" / "inkling"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "INKLING_DATA_DIR": str(tmp_path / "data")}


@pytest.mark.timeout(400)
def test_the_database_is_made_by_its_migrations(installed: Path, environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run(
        [installed, "migrate"], env=environment, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    newest = sorted((ROOT / "alembic" / "versions").glob("*.py"))[-1].name[:4]
    assert done.stdout == f"The database is at revision {newest}.\n"


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("words", "paths"),
    [
        (("serve", "--smtp-port", "0"), ["/sign-in", "/static/frame.css", "/static/vendor/squire.js", "/healthz"]),
        (("demo",), ["/sign-in", "/static/vendor/purify.min.js"]),
        (("edge",), ["/healthz", "/o/x.gif"]),
    ],
)
def test_what_runs_from_it_answers(
    installed: Path, environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], paths: list[str]
) -> None:
    port = free_port()
    with running(installed, environment, tmp_path, *words, "--port", str(port)):
        wait_until(lambda: listening(port), 60)
        for path in paths:
            answer = httpx.get(f"http://127.0.0.1:{port}{path}", follow_redirects=True, timeout=30)
            assert answer.status_code == 200, path
            assert answer.content


@contextmanager
def running(program: Path, environment: dict[str, str], folder: Path, *words: str) -> Iterator[None]:
    process = subprocess.Popen([program, *words], env=environment, cwd=folder, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        end(process, signal.SIGTERM)


def test_the_image_is_made_by_the_same_steps() -> None:
    lines = (ROOT / "Dockerfile").read_text("utf-8").splitlines()
    assert "RUN deploy/install /opt/inkling" in lines
    assert [line for line in lines if line.startswith("USER ")][-1] not in ("USER root", "USER 0")
    assert any(line.startswith("HEALTHCHECK ") for line in lines)


def test_the_commands_of_the_guide_do_what_it_says(
    installed: Path, environment: dict[str, str], tmp_path: Path
) -> None:
    """Each block of docs/operation.md in its order, with folders of the test's own; somebody is erased after the backup."""
    places = {"/opt/inkling": installed.parent.parent, "/var/lib/inkling": tmp_path / "data", "/var/backups": tmp_path}
    environment["PATH"] = f"{installed.parent}:{environment['PATH']}"
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "operation.md").read_text("utf-8"), re.DOTALL)
    assert len(blocks) == 5
    said = [run("inkling migrate", environment)]
    for number, block in enumerate(blocks):
        for place, folder in places.items():
            block = block.replace(place, str(folder))
        if number == 2:
            run("inkling recipient erase anna@client.example", environment)
        said.append(run(block.replace(f"deploy/install {places['/opt/inkling']}\n", ""), environment))
    assert "inkling.sqlite3, secret-keys" in said[2]
    assert "Restored as of" in said[4]
    assert "no list" not in said[4]
    assert (tmp_path / "data" / "erasures.jsonl").read_text() == (tmp_path / "erasures.jsonl").read_text()


def run(script: str, environment: dict[str, str]) -> str:
    done = subprocess.run(["sh", "-eu", "-c", script], env=environment, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


def test_the_unit_is_one_that_systemd_takes(installed: Path, tmp_path: Path) -> None:
    unit = tmp_path / "inkling.service"
    text = (ROOT / "deploy" / "inkling.service").read_text("utf-8")
    unit.write_text(text.replace("/opt/inkling/bin/inkling", str(installed)))
    analyze = str(require("systemd-analyze"))
    done = subprocess.run([analyze, "verify", "--man=no", str(unit)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    rated = subprocess.run(
        [analyze, "security", "--offline=yes", "--threshold=20", str(unit)],
        capture_output=True,
        text=True,
    )
    assert rated.returncode == 0, rated.stdout


def test_the_containers_run_roles_that_are_with_settings_that_are() -> None:
    text = (ROOT / "deploy" / "compose.yaml").read_text("utf-8")
    commands = {words.split(",")[0] for words in re.findall(r"^    command: \[(.*)\]$", text, re.MULTILINE)}
    assert commands == {"migrate", "edge", "web", "worker", "gateway"}
    named = set(re.findall(r"INKLING_[A-Z_]*[A-Z]", text))
    assert {name for name in named if name not in NAMES and name.removesuffix("_FILE") not in NAMES} == set()
    secrets = set(re.findall(r"/run/secrets/([a-z-]+)", text))
    assert secrets == {"database-url", "keys", "drain", "postgres"}


def test_secrets_are_made_once_and_are_usable(tmp_path: Path) -> None:
    script = tmp_path / "deploy" / "make-secrets"
    script.parent.mkdir()
    shutil.copy(ROOT / "deploy" / "make-secrets", script)
    secrets = script.parent / "secrets"
    contents = []
    for _ in range(2):
        subprocess.run(["sh", str(script)], check=True, capture_output=True)
        contents.append({path.name: path.read_text() for path in secrets.iterdir()})
    assert contents[0] == contents[1]
    names = {"SECRET_KEYS": "keys", "DRAIN_KEY": "drain", "DATABASE_URL": "database-url"}
    settings = read_settings({f"INKLING_{name}_FILE": str(secrets / file) for name, file in names.items()}, dotenv=None)
    assert settings.secret_keys == (contents[0]["keys"],)
    assert contents[0]["postgres"] in settings.database_url


def test_alerts_ask_for_figures_that_are(context: AppContext) -> None:
    rules = (ROOT / "deploy" / "prometheus-rules.yaml").read_text("utf-8")
    Spool(context.settings.data_dir / "spool.sqlite3").close()
    with context.database.reading() as session:
        every = [*collect_metrics(session), *edge_figures(context.settings.data_dir)]
    assert set(re.findall(r"inkling_(\w+)", rules)) <= {figure.name for figure in every}
