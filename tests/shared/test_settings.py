from pathlib import Path

import pytest
from pydantic import ValidationError

from shared.errors import Invalid
from shared.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _clean(monkeypatch, tmp_path):
    """No setting of the machine, and no .env of the checkout."""
    monkeypatch.chdir(tmp_path)
    for each in Settings.model_fields.values():
        monkeypatch.delenv(str(each.validation_alias), raising=False)


def test_the_default_database_lies_in_the_data_directory(monkeypatch, tmp_path):
    assert Settings().sqlalchemy_url == f"sqlite:///{tmp_path / 'var' / 'vedette.sqlite3'}"
    monkeypatch.setenv("VEDETTE_DATA_DIR", "/srv/vedette")
    assert Settings().sqlalchemy_url == "sqlite:////srv/vedette/vedette.sqlite3"


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_way_to_write_postgresql_is_understood(monkeypatch, scheme):
    monkeypatch.setenv("DATABASE_URL", f"{scheme}://db/vedette")
    assert Settings().sqlalchemy_url == "postgresql+psycopg://db/vedette"


def test_an_env_file_is_read_and_the_environment_wins(monkeypatch):
    Path(".env").write_text("VEDETTE_PORT=8001\nVEDETTE_LEASE_SECONDS=20\n")
    monkeypatch.setenv("VEDETTE_PORT", "8002")
    settings = Settings()
    assert (settings.port, settings.lease_seconds) == (8002, 20.0)


def test_an_empty_variable_is_no_value(monkeypatch):
    monkeypatch.setenv("VEDETTE_PORT", "")
    assert Settings().port == 8000


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VEDETTE_PORT", "70000"),
        ("VEDETTE_LEASE_SECONDS", "0"),
        ("VEDETTE_WORKER_THREADS", "0"),
        ("VEDETTE_LOG_FORMAT", "xml"),
        ("VEDETTE_ADMIN_TOKEN", "short"),
        ("DATABASE_URL", "mysql://somewhere/else"),
        ("REDIS_URL", "localhost:6379"),
        ("VEDETTE_API_URL", "localhost:8000"),
        ("VEDETTE_ALLOWED_DESTINATIONS", "10.0.0.0/8,inside.example.org"),
        ("VEDETTE_SECRET_KEYS", "short"),
        ("VEDETTE_SECRET_KEYS", "a-key-of-more-than-thirty-two-characters,short"),
        ("SMTP_SECURITY", "ssl"),
        ("SMTP_PORT", "0"),
        ("SMTP_FROM", "vedette"),
    ],
)
def test_what_cannot_be_used_is_named(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    with pytest.raises(ValidationError, match=name):
        Settings()


@pytest.mark.parametrize(
    "name", ["VEDETTE_ADMIN_TOKEN", "VEDETTE_SECRET_KEYS", "SMTP_PASSWORD", "NVD_API_KEY"]
)
def test_secrets_do_not_show(monkeypatch, name):
    monkeypatch.setenv(name, "a-token-of-twenty-four-characters")
    assert "twenty" not in repr(Settings())


@pytest.mark.parametrize("value", ["vedette@example.org", "Vedette <vedette@example.org>"])
def test_mail_comes_from_an_address_with_or_without_a_name(monkeypatch, value):
    monkeypatch.setenv("SMTP_FROM", value)
    assert Settings().smtp_from == value


def test_settings_are_frozen():
    with pytest.raises(ValidationError):
        Settings().port = 1
    assert Settings().with_changes(port=1).port == 1


def test_the_data_directory_is_its_owners_alone(tmp_path):
    folder = Settings().with_changes(data_dir=tmp_path / "deep" / "data").make_data_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_wrong_value_is_named_and_never_shown(monkeypatch):
    monkeypatch.setenv("VEDETTE_PORT", "hunter2")
    monkeypatch.setenv("VEDETTE_ALLOWED_DESTINATIONS", "hunter2")
    monkeypatch.setenv("SMTP_FROM", "hunter2")
    with pytest.raises(Invalid, match="VEDETTE_PORT: ") as caught:
        read_settings()
    assert "hunter2" not in caught.value.detail


def test_an_env_file_that_is_no_text_is_named(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_bytes(b"VEDETTE_PORT=\xff\n")
    with pytest.raises(Invalid, match=r"\.env is not UTF-8"):
        read_settings()
