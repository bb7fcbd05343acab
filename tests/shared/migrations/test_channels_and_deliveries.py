"""Deliveries that were made before there were channels keep their data, up and down again."""

import sqlalchemy as sa
from alembic import command

from shared import migrations
from tests.shared.migrations.test_migrations import bare_engine

__all__ = ["bare_engine"]

USER, NOTIFICATION, DELIVERY = (f"{digit * 8}-1111-4111-8111-111111111111" for digit in "abc")


def go(engine, act, revision):
    with engine.connect() as connection:
        if connection.dialect.name == "sqlite":
            connection.connection.dbapi_connection.cursor().execute("PRAGMA foreign_keys=OFF")
        with connection.begin():
            config = migrations._config()
            config.attributes["connection"] = connection
            act(config, revision)
        connection.invalidate()


def write(engine, statement):
    """Ids are written as each database keeps them."""
    plain = engine.dialect.name == "sqlite"
    values = {name: value.replace("-", "") if plain else value for name, value in IDS.items()}
    with engine.begin() as connection:
        connection.execute(
            sa.text(statement), {name: values[name] for name in values if f":{name}" in statement}
        )


IDS = {"user": USER, "notification": NOTIFICATION, "delivery": DELIVERY}


def test_what_was_delivered_stays_so(bare_engine):
    go(bare_engine, command.upgrade, "0007")
    moment = "'2026-06-01 12:00:00'"
    write(
        bare_engine,
        'INSERT INTO "user" (id, email, name, role, active, created_at) '
        f"VALUES (:user, 'ada@example.org', 'Ada', 'viewer', true, {moment})",
    )
    write(
        bare_engine,
        "INSERT INTO notification (id, user_id, type, title, message, priority, dedupe_key, created_at) "
        f"VALUES (:notification, :user, 't', 'title', 'text', 'low', 'k', {moment})",
    )
    write(
        bare_engine,
        "INSERT INTO delivery (id, notification_id, channel, state, attempts, created_at, ended_at) "
        f"VALUES (:delivery, :notification, 'in_app', 'delivered', 1, {moment}, {moment})",
    )
    go(bare_engine, command.upgrade, "0008")
    with bare_engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM delivery")).one()
        assert (row.state, row.attempts, row.step, row.channel_id) == ("delivered", 1, 0, None)
        assert str(row.due_at) == str(row.created_at)
        assert not row.waits
    go(bare_engine, command.downgrade, "0007")
    with bare_engine.connect() as connection:
        row = connection.execute(sa.text("SELECT * FROM delivery")).one()
        assert (row.channel, row.state, hasattr(row, "due_at")) == ("in_app", "delivered", False)
    go(bare_engine, command.upgrade, "head")
