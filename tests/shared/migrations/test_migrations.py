"""Migrations lead to the schema of the models, on both databases, however often and by however many they are run."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared import database, migrations
from shared.errors import Conflict
from tests.shared.migrations.released import changed, differences, release, revisions


@pytest.fixture(params=["sqlite", "postgresql"])
def bare_engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """A database without any table."""
    if request.param == "sqlite":
        engine = database.make_engine(f"sqlite:///{tmp_path / 'bare.sqlite3'}")
        yield engine
        engine.dispose()
        return
    url = request.getfixturevalue("postgres_url")
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as connection:
        connection.execute(sa.text("CREATE DATABASE bare"))
    engine = database.make_engine(sa.make_url(url).set(database="bare").render_as_string(hide_password=False))
    yield engine
    engine.dispose()
    with admin.connect() as connection:
        connection.execute(sa.text("DROP DATABASE bare WITH (FORCE)"))
    admin.dispose()


def test_upgrade_leads_to_the_schema_of_the_models(bare_engine: sa.Engine) -> None:
    assert migrations.upgrade(bare_engine) is None
    assert differences(bare_engine) == []


def test_upgrade_again_changes_nothing(bare_engine: sa.Engine) -> None:
    migrations.upgrade(bare_engine)
    assert migrations.upgrade(bare_engine) == migrations.head()
    assert differences(bare_engine) == []


def test_of_two_at_once_one_runs_and_one_waits(bare_engine: sa.Engine) -> None:
    before: list[str | None] = []
    threads = [
        threading.Thread(target=lambda: before.append(migrations.upgrade(bare_engine))) for _ in range(2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(before, key=str) == sorted([None, migrations.head()], key=str)
    assert differences(bare_engine) == []


def test_a_schema_of_another_version_is_told_and_left_alone(bare_engine: sa.Engine) -> None:
    migrations.upgrade(bare_engine)
    with bare_engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = 'later'"))
    with pytest.raises(Conflict, match="revision later"):
        migrations.upgrade(bare_engine)
    assert differences(bare_engine) == []


@pytest.mark.parametrize("released", revisions())
def test_data_of_every_released_schema_is_kept(bare_engine: sa.Engine, released: str) -> None:
    kept = release(bare_engine, released)
    migrations.upgrade(bare_engine)
    assert differences(bare_engine) == []
    assert changed(bare_engine, kept) == []
