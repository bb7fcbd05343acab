"""Migrations lead to the schema of the models, on both databases, however often and by however many they are run."""

import datetime as dt
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import shared.models  # noqa: F401
from shared import database, migrations
from shared.errors import Conflict
from shared.models.base import Base


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


def differences(engine: sa.Engine) -> list[object]:
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


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


def revisions() -> list[str]:
    script = ScriptDirectory.from_config(migrations._config())
    return [each.revision for each in script.walk_revisions()][::-1]


def some_value(column: sa.Column[object]) -> object:
    """Anything that fits the column's type."""
    kind = column.type
    if isinstance(kind, sa.UUID) or (isinstance(kind, sa.CHAR) and kind.length == 32):
        return uuid.UUID(int=7) if isinstance(kind, sa.UUID) else uuid.UUID(int=7).hex
    if isinstance(kind, sa.JSON):
        return {"kept": True}
    if isinstance(kind, sa.DateTime):
        return dt.datetime(2026, 3, 1, 12, tzinfo=dt.UTC if kind.timezone else None)
    if isinstance(kind, sa.Date):
        return dt.date(2026, 3, 1)
    if isinstance(kind, sa.Boolean):
        return True
    if isinstance(kind, sa.LargeBinary):
        return b"kept"
    if isinstance(kind, sa.Integer | sa.Numeric | sa.Float):
        return 1
    return "kept"[: getattr(kind, "length", None) or 4]


def fill(engine: sa.Engine) -> dict[str, dict[str, object]]:
    """One row in every table; what the database then gives back for each."""
    tables = sa.MetaData()
    tables.reflect(engine)
    kept: dict[str, dict[str, object]] = {}
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            connection.execute(
                table.insert(), [{column.name: some_value(column) for column in table.columns}]
            )
            kept[table.name] = dict(connection.execute(sa.select(table)).mappings().one())
    return kept


@pytest.mark.parametrize("released", revisions())
def test_data_of_every_released_schema_is_kept(bare_engine: sa.Engine, released: str) -> None:
    with bare_engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, released)
    kept = fill(bare_engine)
    migrations.upgrade(bare_engine)
    assert differences(bare_engine) == []
    tables = sa.MetaData()
    tables.reflect(bare_engine)
    with bare_engine.connect() as connection:
        for name, row in kept.items():
            now = dict(connection.execute(sa.select(tables.tables[name])).mappings().one())
            assert {column: now[column] for column in row if column in now} == {
                column: value for column, value in row.items() if column in now
            }
