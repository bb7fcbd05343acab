"""Schemas of former releases with data in them, and whether a newer schema kept it."""

import datetime as dt
import uuid

import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

import shared.models  # noqa: F401
from shared import migrations
from shared.models.base import Base

Rows = dict[str, dict[str, object]]


def differences(engine: sa.Engine) -> list[object]:
    """In what the schema differs from that of the models."""
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        return list(compare_metadata(context, Base.metadata))


def revisions() -> list[str]:
    """Every revision, oldest first."""
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


def fill(engine: sa.Engine) -> Rows:
    """One row in every table; what the database then gives back for each."""
    tables = sa.MetaData()
    tables.reflect(engine)
    kept: Rows = {}
    with engine.begin() as connection:
        for table in tables.sorted_tables:
            if table.name == "alembic_version":
                continue
            connection.execute(
                table.insert(), [{column.name: some_value(column) for column in table.columns}]
            )
            kept[table.name] = dict(connection.execute(sa.select(table)).mappings().one())
    return kept


def release(engine: sa.Engine, revision: str) -> Rows:
    """Bring an empty database to a former revision and put a row in every table; the rows."""
    with engine.begin() as connection:
        config = migrations._config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    return fill(engine)


def changed(engine: sa.Engine, kept: Rows) -> list[str]:
    """The tables whose row is no longer what it was, in the columns that are still there."""
    tables = sa.MetaData()
    tables.reflect(engine)
    found = []
    with engine.connect() as connection:
        for name, row in kept.items():
            rows = connection.execute(sa.select(tables.tables[name])).mappings().all()
            common = [column for column in row if column in tables.tables[name].columns]
            if [{column: each[column] for column in common} for each in rows] != [
                {column: row[column] for column in common}
            ]:
                found.append(name)
    return found
