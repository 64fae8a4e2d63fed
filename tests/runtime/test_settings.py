"""Settings: read once, checked at start, and every refusal names the variable."""

import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import astuple, fields
from pathlib import Path

import pytest

from tracker.runtime.settings import NAMES, OAuthClient, SettingError, Settings, read_settings

KEY = "k1-0123456789-abcdefghijklmnopqrstuvwxyz"
OLDER_KEY = "k0-9876543210-zyxwvutsrqponmlkjihgfedcba"
DRAIN_KEY = "drain-0123456789-abcdefghijk"


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., Settings]:
    """`read(BASE_URL="…")`: the settings of an environment that holds these names, on a folder of this test's own."""

    def read(dotenv: Path | None = None, **values: str) -> Settings:
        environ = {"INKLING_DATA_DIR": str(tmp_path), "HOME": "/", "PATH": "x"}
        return read_settings(environ | {f"INKLING_{name}": value for name, value in values.items()}, dotenv)

    return read


def test_everything_has_a_default() -> None:
    settings = read_settings({}, dotenv=None)
    assert settings.data_dir == Path("data").absolute()
    assert settings.database_url == f"sqlite:///{Path('data').absolute()}/inkling.sqlite3"
    assert settings.is_sqlite
    assert (settings.base_url, settings.tracking_url) == ("http://127.0.0.1:8000", "http://127.0.0.1:8000")
    assert (settings.smtp_host, settings.smtp_port) == ("127.0.0.1", 2525)
    assert (settings.evidence_days, settings.window_scale) == (7, 1.0)
    assert (settings.secret_keys, settings.trusted_proxies, settings.edge_urls, settings.drain_key) == (
        (),
        (),
        (),
        None,
    )
    assert (settings.allow_private_hosts, settings.ca_file, settings.smtp_tls_cert) == ((), None, None)


def _given(folder: Path) -> dict[str, tuple[str, str, object]]:
    """A usable value for every name, the field it lands in, and what is then there."""
    file = folder / "a.pem"
    file.write_text("PEM")
    networks = (ipaddress.ip_network("10.0.0.0/8"), ipaddress.ip_network("::1/128"))
    return {
        "INKLING_DATA_DIR": (str(folder / "d"), "data_dir", folder / "d"),
        "INKLING_DATABASE_URL": ("postgres://u:p@h/n", "database_url", "postgresql+psycopg://u:p@h/n"),
        "INKLING_ERASURES": (str(folder / "list"), "erasures_path", folder / "list"),
        "INKLING_SECRET_KEYS": (f"{KEY}, {OLDER_KEY}", "secret_keys", (KEY, OLDER_KEY)),
        "INKLING_BASE_URL": ("https://mail.example.com/", "base_url", "https://mail.example.com"),
        "INKLING_TRACKING_URL": ("https://t.example.com:8443", "tracking_url", "https://t.example.com:8443"),
        "INKLING_TRUSTED_PROXIES": ("10.1.2.3/8, ::1", "trusted_proxies", networks),
        "INKLING_EDGE_URLS": (
            "https://e1.example,https://e2.example/",
            "edge_urls",
            ("https://e1.example", "https://e2.example"),
        ),
        "INKLING_DRAIN_KEY": (DRAIN_KEY, "drain_key", DRAIN_KEY),
        "INKLING_SMTP_HOST": ("0.0.0.0", "smtp_host", "0.0.0.0"),
        "INKLING_SMTP_PORT": ("587", "smtp_port", 587),
        "INKLING_MESSAGES_PER_HOUR": ("20000", "messages_per_hour", 20_000),
        "INKLING_SMTP_TLS_CERT": (str(file), "smtp_tls_cert", file),
        "INKLING_SMTP_TLS_KEY": (str(file), "smtp_tls_key", file),
        "INKLING_ALLOW_PRIVATE_HOSTS": ("10.0.0.0/8,::1", "allow_private_hosts", networks),
        "INKLING_CA_FILE": (str(file), "ca_file", file),
        "INKLING_LISTENED_MAILBOXES": ("0", "listened_mailboxes", 0),
        "INKLING_EVIDENCE_DAYS": ("0", "evidence_days", 0),
        "INKLING_WINDOW_SCALE": ("0.02", "window_scale", 0.02),
        "INKLING_TRACKING_CEILING": ("strict,opens", "tracking_ceiling", frozenset({"strict", "opens"})),
        "INKLING_HITS_PER_SOURCE": ("0", "hits_per_source", 0),
        "INKLING_HITS_PER_TOKEN": ("12", "hits_per_token", 12),
        "INKLING_HITS_PER_COPY": ("7", "hits_per_copy", 7),
        **_given_oauth(),
    }


def _given_oauth() -> dict[str, tuple[str, str, object]]:
    parts = ("CLIENT_ID", "CLIENT_SECRET", "AUTHORIZE_URL", "TOKEN_URL")
    clients = {
        provider: OAuthClient(
            f"{provider}-id", "s e c", f"https://{provider}.example/a", f"https://{provider}.example/t"
        )
        for provider in ("google", "microsoft")
    }
    return {
        f"INKLING_{provider.upper()}_{part}": (value, "oauth_clients", clients)
        for provider, client in clients.items()
        for part, value in zip(parts, astuple(client), strict=True)
    }


@pytest.mark.parametrize("by_file", [False, True], ids=["value", "file"])
def test_every_name_is_read(tmp_path: Path, by_file: bool) -> None:
    values = _given(tmp_path)
    assert set(values) == set(NAMES), "give this table a line for every setting"
    assert {field for _, field, _ in values.values()} == {field.name for field in fields(Settings)}
    environ = {name: value for name, (value, _, _) in values.items()}
    if by_file:
        for name, value in environ.items():
            (tmp_path / name).write_text(f"  {value}\n")
        environ = {f"{name}_FILE": str(tmp_path / name) for name in environ}
    settings = read_settings(environ, dotenv=None)
    for name, (_, field, expected) in values.items():
        assert getattr(settings, field) == expected, name


def test_tracking_lives_at_the_base_url_unless_told_otherwise(read: Callable[..., Settings]) -> None:
    assert read(BASE_URL="https://mail.example.com").tracking_url == "https://mail.example.com"


def test_a_key_file_may_hold_one_key_a_line(read: Callable[..., Settings], tmp_path: Path) -> None:
    """The edge reads the same file in the same way; otherwise it would not know our signatures."""
    (tmp_path / "keys").write_text(f"{KEY}\n{OLDER_KEY}\n")
    assert read(SECRET_KEYS_FILE=str(tmp_path / "keys")).secret_keys == (KEY, OLDER_KEY)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("INKLING_DATABSE_URL", "INKLING_DATABASE_URL"),
        ("INKLING_TRACKING_URI", "INKLING_TRACKING_URL"),
        ("INKLING_DRAIN_KEYS", "INKLING_DRAIN_KEY"),
        ("INKLING_SECRET_KEY_FILE", "INKLING_SECRET_KEYS"),
        ("INKLING_XYZZY", ", ".join(NAMES)),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(name: str, near: str) -> None:
    with pytest.raises(SettingError) as refused:
        read_settings({name: "1"}, dotenv=None)
    assert str(refused.value).startswith(f"{name} is not a setting of Inkling.")
    assert near in str(refused.value)


def test_names_of_other_programs_are_nobodys_business(read: Callable[..., Settings]) -> None:
    assert read_settings({"XINKLING_A": "1", "inkling_b": "2", "PATH": "/bin"}, dotenv=None) == read_settings(
        {}, dotenv=None
    )


WRONG: list[tuple[str, str]] = [
    ("BASE_URL", "mail.example.com"),
    ("BASE_URL", "ftp://mail.example.com"),
    ("BASE_URL", "https://"),
    ("BASE_URL", "https://mail example.com"),
    ("BASE_URL", "https://mail.example.com:eighty"),
    ("BASE_URL", "https://mail.example.com:99999"),
    ("BASE_URL", "https://mail.example.com/?a=1"),
    ("BASE_URL", "https://mail.example.com/inkling"),
    ("BASE_URL", "https://mail.example.com/#top"),
    ("BASE_URL", "https://user:secret@mail.example.com"),
    ("BASE_URL", "https://:secret@mail.example.com"),
    ("BASE_URL", "https://[::1"),
    ("TRACKING_URL", "https://пример.рф"),
    ("TRACKING_URL", "javascript:alert(1)"),
    ("EDGE_URLS", "https://e1.example,e2.example"),
    ("SECRET_KEYS", "short"),
    ("SECRET_KEYS", f"{KEY},short"),
    ("SECRET_KEYS", "change-me-change-me-change-me-change-me"),
    ("DRAIN_KEY", "short"),
    ("DRAIN_KEY", "with a space and 24 or more of them"),
    ("DRAIN_KEY", "ключ-ключ-ключ-ключ-ключ-ключ"),
    ("TRUSTED_PROXIES", "10.0.0.0/8,localhost"),
    ("TRUSTED_PROXIES", "10.0.0.0/33"),
    ("ALLOW_PRIVATE_HOSTS", "everything"),
    ("GOOGLE_CLIENT_SECRET", "without an id"),
    ("MICROSOFT_TOKEN_URL", "https://login.example/token"),
    ("GOOGLE_CLIENT_ID", "with a space"),
    ("SMTP_PORT", "smtp"),
    ("SMTP_PORT", "65536"),
    ("SMTP_PORT", "-1"),
    ("SMTP_PORT", "587.5"),
    ("MESSAGES_PER_HOUR", "-1"),
    ("MESSAGES_PER_HOUR", "1000001"),
    ("MESSAGES_PER_HOUR", "many"),
    ("EVIDENCE_DAYS", "31"),
    ("EVIDENCE_DAYS", "-1"),
    ("EVIDENCE_DAYS", "6.9"),
    ("EVIDENCE_DAYS", "nan"),
    ("EVIDENCE_DAYS", "a week"),
    ("WINDOW_SCALE", "0"),
    ("WINDOW_SCALE", "nan"),
    ("WINDOW_SCALE", "inf"),
    ("WINDOW_SCALE", "fast"),
    ("HITS_PER_SOURCE", "many"),
    ("HITS_PER_TOKEN", "-3"),
    ("HITS_PER_COPY", "x"),
    ("DATABASE_URL", "mysql://u:p@h/n"),
    ("DATABASE_URL", "postgresql://"),
    ("DATABASE_URL", "postgresql://host-without-a-database"),
    ("DATABASE_URL", "postgresql://u:p@h:port/n"),
    ("DATABASE_URL", "sqlite://"),
    ("DATABASE_URL", "sqlite:///"),
    ("DATABASE_URL", "sqlite:///:memory:"),
    ("DATABASE_URL", "/var/lib/inkling.sqlite3"),
    ("CA_FILE", "/nowhere/ca.pem"),
    ("SMTP_TLS_CERT", "/nowhere/cert.pem"),
    ("SMTP_TLS_KEY", "/nowhere/key.pem"),
    ("DATA_DIR", "/dev/null"),
    ("DRAIN_KEY_FILE", "/nowhere/key"),
    ("DRAIN_KEY_FILE", "/"),
]


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_wrong_value_names_the_variable(read: Callable[..., Settings], name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        read(**{name: value})
    assert f"INKLING_{name}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_no_refusal_shows_a_secret(read: Callable[..., Settings]) -> None:
    secrets: Mapping[str, str] = {
        "SECRET_KEYS": f"{KEY},hush",
        "DRAIN_KEY": "hush",
        "DATABASE_URL": "postgresql://u:hush@h:port/n",
    }
    for name, value in secrets.items():
        with pytest.raises(SettingError) as refused:
            read(**{name: value})
        assert "hush" not in str(refused.value)
        assert KEY not in str(refused.value)


def test_no_secret_shows_in_the_representation(read: Callable[..., Settings]) -> None:
    shown = repr(read(SECRET_KEYS=KEY, DRAIN_KEY=DRAIN_KEY, DATABASE_URL="postgresql://u:hush@h/n"))
    assert all(secret not in shown for secret in (KEY, DRAIN_KEY, "hush"))


def test_remote_edges_need_the_key_they_ask_for(read: Callable[..., Settings]) -> None:
    with pytest.raises(SettingError, match="INKLING_EDGE_URLS is set but INKLING_DRAIN_KEY is not"):
        read(EDGE_URLS="https://edge.example")


def test_a_certificate_needs_its_key(read: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "pem").write_text("PEM")
    with pytest.raises(SettingError, match="INKLING_SMTP_TLS_KEY"):
        read(SMTP_TLS_CERT=str(tmp_path / "pem"))
    with pytest.raises(SettingError, match="INKLING_SMTP_TLS_CERT"):
        read(SMTP_TLS_KEY=str(tmp_path / "pem"))


def test_value_and_file_at_once_are_a_mistake(read: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "key").write_text(DRAIN_KEY)
    with pytest.raises(SettingError, match="INKLING_DRAIN_KEY and INKLING_DRAIN_KEY_FILE are both set"):
        read(DRAIN_KEY=DRAIN_KEY, DRAIN_KEY_FILE=str(tmp_path / "key"))


def test_a_file_that_is_no_text_is_refused(read: Callable[..., Settings], tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match="INKLING_SECRET_KEYS_FILE"):
        read(SECRET_KEYS_FILE=str(tmp_path / "key"))


def test_blanks_count_as_not_given(read: Callable[..., Settings]) -> None:
    settings = read(BASE_URL="  ", DRAIN_KEY="", SMTP_PORT=" ", CA_FILE="", DRAIN_KEY_FILE=" ")
    assert settings == read()


def test_the_file_dotenv_is_read_and_the_environment_wins(read: Callable[..., Settings], tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(
        "# ours\nINKLING_BASE_URL=https://file.example\nexport INKLING_SMTP_PORT='2526'\nINKLING_EVIDENCE_DAYS=3\nOTHER=1\n"
    )
    settings = read(dotenv, BASE_URL="https://environ.example")
    assert (settings.base_url, settings.smtp_port, settings.evidence_days) == ("https://environ.example", 2526, 3)
    assert read(dotenv, EVIDENCE_DAYS="").evidence_days == 7, "a blank in the environment undoes the line in .env"
    assert read(tmp_path / "no such file").evidence_days == 7


@pytest.mark.parametrize("in_file", ["INKLING_DRAIN_KEY", "INKLING_DRAIN_KEY_FILE"])
@pytest.mark.parametrize("in_environ", ["INKLING_DRAIN_KEY", "INKLING_DRAIN_KEY_FILE"])
def test_the_environment_wins_in_either_spelling(tmp_path: Path, in_file: str, in_environ: str) -> None:
    def spelled(name: str, key: str) -> str:
        (tmp_path / key).write_text(key)
        return str(tmp_path / key) if name.endswith("_FILE") else key

    dotenv = tmp_path / ".env"
    dotenv.write_text(f"{in_file}={spelled(in_file, 'the-key-in-the-file-dotenv')}\n")
    environ = {in_environ: spelled(in_environ, "the-key-in-the-environment")}
    assert read_settings(environ, dotenv).drain_key == "the-key-in-the-environment"


def test_an_unknown_name_in_dotenv_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("INKLING_BASEURL=https://x.example\n")
    with pytest.raises(SettingError, match="INKLING_BASE_URL"):
        read_settings({}, tmp_path / ".env")


def test_a_dotenv_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"INKLING_BASE_URL=\xff\n")
    with pytest.raises(SettingError, match=r"\.env cannot be read"):
        read_settings({}, tmp_path / ".env")


def test_the_ceiling() -> None:
    def ceiling(value: str) -> frozenset[str]:
        return read_settings({"INKLING_TRACKING_CEILING": value}, dotenv=None).tracking_ceiling

    assert ceiling("") == frozenset()
    assert ceiling(" Strict, opens ") == {"strict", "opens"}
    for wrong in ("loose", "strict,notice", "opens;clicks"):
        with pytest.raises(SettingError, match="INKLING_TRACKING_CEILING must hold one of off, strict, notice"):
            ceiling(wrong)
