"""Alembic migrations, run from the package: `upgrade` brings a database to the newest schema.

A migration is one transaction on both databases, and two that start at once follow each other: PostgreSQL through an
advisory lock, SQLite through `BEGIN IMMEDIATE`.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from shared.errors import Conflict

_LOCK = 0x7665_6465  # "vede"; any number that no other program on this database uses


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    return config


def head() -> str | None:
    """The revision that this code needs."""
    return ScriptDirectory.from_config(_config()).get_current_head()


def current(connection: sa.Connection) -> str | None:
    """The revision that the database has; None when it has none."""
    return MigrationContext.configure(connection).get_current_revision()


def knows(revision: str) -> bool:
    """Whether `head()` can be reached from this revision; otherwise another version of Vedette made it."""
    known = ScriptDirectory.from_config(_config()).walk_revisions()
    return revision in {each.revision for each in known}


def upgrade(engine: sa.Engine) -> str | None:
    """Bring the database to `head()` and give the revision that it had before.

    Raises Conflict when that is one which this code does not know: another version of Vedette made it.
    """
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            # Changing a table means copying it (batch mode): the references to it must not follow the old one away.
            driver = connection.connection.dbapi_connection
            assert driver is not None  # noqa: S101  # a fresh connection is not detached
            driver.cursor().execute("PRAGMA foreign_keys=OFF")
        try:
            with connection.begin():
                if connection.dialect.name == "postgresql":
                    connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
                before = current(connection)
                if before is not None and not knows(before):
                    raise Conflict(
                        f"The database has the schema of another version of Vedette (revision {before}), "
                        "which this one cannot use; nothing was changed."
                    )
                config = _config()
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
        finally:
            connection.invalidate()  # its pragma must not go back into the pool
    return before
