"""Settings: read once, checked at start, and a wrong one stops the program with its name."""

import multiprocessing
import stat
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest

from pixel.limits import Budgets
from pixel.settings import EdgeSettings, load_or_make_keys
from pixel.tokens import Tokens
from tests.pixel.edge_server import DRAIN_KEY, KEY, OLDER_KEY, ROOT, edge_environment


def test_everything_can_be_set(tmp_path: Path) -> None:
    settings = EdgeSettings.from_environment(
        {
            "INKLING_DATA_DIR": str(tmp_path),
            "INKLING_SECRET_KEYS": f"{KEY}, {OLDER_KEY}",
            "INKLING_TRUSTED_PROXIES": "10.0.0.0/8, 192.0.2.1,2001:db8::/32",
            "INKLING_DRAIN_KEY": DRAIN_KEY,
            "INKLING_TRACKING_URL": "https://Track.example.com/t/",
            "INKLING_BASE_URL": "https://crm.example.com/",
            "INKLING_HITS_PER_SOURCE": "50",
            "INKLING_HITS_PER_TOKEN": "0",
            "INKLING_HITS_PER_COPY": "9",
        }
    )
    assert settings == EdgeSettings(
        data_dir=tmp_path,
        keys=(KEY, OLDER_KEY),
        trusted_proxies=(ip_network("10.0.0.0/8"), ip_network("192.0.2.1"), ip_network("2001:db8::/32")),
        drain_key=DRAIN_KEY,
        tracking_url="https://Track.example.com/t",
        base_url="https://crm.example.com",
        budgets=Budgets(per_source=50, per_token=0, per_copy=9),
    )
    assert settings.own_hosts == {"track.example.com", "crm.example.com"}
    assert settings.spool_path == tmp_path / "spool.sqlite3"


def test_defaults(tmp_path: Path) -> None:
    settings = EdgeSettings.from_environment({"INKLING_DATA_DIR": str(tmp_path), "INKLING_BASE_URL": "http://h:1/"})
    assert settings.tracking_url == settings.base_url == "http://h:1"
    assert (settings.trusted_proxies, settings.drain_key) == ((), None)
    assert settings.keys == load_or_make_keys(tmp_path)
    assert EdgeSettings.from_environment({"INKLING_SECRET_KEYS": KEY}).data_dir == Path("data")


def test_values_can_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text(f"{KEY}\n{OLDER_KEY}\n")
    (tmp_path / "drain").write_text(f"{DRAIN_KEY}\n")
    settings = EdgeSettings.from_environment(
        {"INKLING_SECRET_KEYS_FILE": str(tmp_path / "keys"), "INKLING_DRAIN_KEY_FILE": str(tmp_path / "drain")}
    )
    assert (settings.keys, settings.drain_key) == ((KEY, OLDER_KEY), DRAIN_KEY)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("INKLING_SECRET_KEYS", ""),
        ("INKLING_SECRET_KEYS", "short"),
        ("INKLING_SECRET_KEYS", f"{KEY},short"),
        ("INKLING_SECRET_KEYS", "change-me-change-me-change-me-change-me"),
        ("INKLING_SECRET_KEYS_FILE", "/nowhere/keys"),
        ("INKLING_TRUSTED_PROXIES", "proxy.example"),
        ("INKLING_TRUSTED_PROXIES", "10.0.0.1-10.0.0.9"),
        ("INKLING_DRAIN_KEY", "short"),
        ("INKLING_DRAIN_KEY", "with space with space with space"),
        ("INKLING_TRACKING_URL", "track.example.com"),
        ("INKLING_TRACKING_URL", "ftp://track.example.com"),
        ("INKLING_TRACKING_URL", "https://"),
        ("INKLING_TRACKING_URL", "https://h:port"),
        ("INKLING_TRACKING_URL", "https://h/?x=1"),
        ("INKLING_BASE_URL", "http://[broken"),
        ("INKLING_BASE_URL", "http://h h/"),
        ("INKLING_BASE_URL", "http://h/inkling/"),
        ("INKLING_HITS_PER_SOURCE", "-1"),
        ("INKLING_HITS_PER_TOKEN", "many"),
        ("INKLING_HITS_PER_COPY", "-1"),
    ],
)
def test_f07_a_wrong_value_names_its_variable(tmp_path: Path, name: str, value: str) -> None:
    environ = {"INKLING_DATA_DIR": str(tmp_path), "INKLING_SECRET_KEYS": KEY}
    if name == "INKLING_SECRET_KEYS_FILE":
        del environ["INKLING_SECRET_KEYS"]
    with pytest.raises(ValueError, match=rf"^{name}\b") as error:
        EdgeSettings.from_environment({**environ, name: value})
    if "KEY" in name and value:
        assert value not in str(error.value) or name.endswith("_FILE"), "a secret is not shown"


def test_a_value_and_its_file_are_one_too_many(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="INKLING_DRAIN_KEY and INKLING_DRAIN_KEY_FILE"):
        EdgeSettings.from_environment(
            {"INKLING_SECRET_KEYS": KEY, "INKLING_DRAIN_KEY": DRAIN_KEY, "INKLING_DRAIN_KEY_FILE": str(tmp_path / "x")}
        )


def test_secrets_are_not_in_the_spelled_out_settings() -> None:
    settings = EdgeSettings(Path("data"), (KEY,), drain_key=DRAIN_KEY)
    assert KEY not in repr(settings)
    assert DRAIN_KEY not in repr(settings)


def test_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "data"
    keys = load_or_make_keys(folder)
    assert load_or_make_keys(folder) == keys
    assert stat.S_IMODE((folder / "secret-keys").stat().st_mode) == 0o600
    assert [file.name for file in folder.iterdir()] == ["secret-keys"]
    assert load_or_make_keys(tmp_path / "other") != keys
    Tokens(keys)


def test_a_newer_key_is_put_on_top_by_hand(tmp_path: Path) -> None:
    (old,) = load_or_make_keys(tmp_path)
    (tmp_path / "secret-keys").write_text(f"{KEY}\n{old}\n")
    assert load_or_make_keys(tmp_path) == (KEY, old)


@pytest.mark.parametrize("content", ["", "\n", "short", "\x00"])
def test_a_broken_key_file_stops_the_start(tmp_path: Path, content: str) -> None:
    """Making new keys in its place would silently kill every link ever sent."""
    (tmp_path / "secret-keys").write_text(content)
    with pytest.raises(ValueError, match="secret-keys"):
        load_or_make_keys(tmp_path)
    assert (tmp_path / "secret-keys").read_text() == content


def test_programs_that_start_together_get_the_same_keys(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(8) as pool:
        keys = pool.map(load_or_make_keys, [tmp_path / "data"] * 64, chunksize=1)
    assert len(set(keys)) == 1


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        (
            {"INKLING_SECRET_KEYS": "short"},
            "INKLING_SECRET_KEYS: a secret key has 5 characters, at least 32 are needed; make one with: openssl rand -hex 32",
        ),
        (
            {"INKLING_TRUSTED_PROXIES": "x"},
            "INKLING_TRUSTED_PROXIES must be addresses or networks, divided by commas: "
            "'x' does not appear to be an IPv4 or IPv6 network",
        ),
    ],
)
def test_f07_the_program_refuses_to_start_with_one_sentence(
    tmp_path: Path, environment: dict[str, str], sentence: str
) -> None:
    tried = _start(tmp_path, environment)
    assert (tried.returncode, tried.stdout, tried.stderr) == (1, "", f"{sentence}\n")


def test_the_program_refuses_a_spool_it_cannot_have(tmp_path: Path) -> None:
    (tmp_path / "spool.sqlite3").mkdir()
    tried = _start(tmp_path, {})
    assert tried.returncode != 0
    assert "cannot be used as a spool" in tried.stderr
    assert "Traceback" not in tried.stderr


def _start(data_dir: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pixel", "--port", "0"],
        cwd=ROOT,
        env=edge_environment(data_dir, environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
