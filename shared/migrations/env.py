"""What Alembic runs around every migration: on the connection that `shared.migrations.upgrade` opened."""

from alembic import context

import shared.models  # noqa: F401  # registers every table
from shared.models.base import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    transactional_ddl=True,
    compare_type=True,
)
with context.begin_transaction():
    context.run_migrations()
