"""Enter a task only into the indexes that its state needs, and find the longest due only where it is asked for.

Revision 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    for name in ("uq_task_lock_key", "ix_task_sweep", "ix_task_ended_at", "ix_task_due"):
        op.drop_index(name, "task")
    _create("ix_task_due", ["queue", "run_after"], "state IN ('PENDING', 'RETRY') AND attempt >= 0")
    _create("ix_task_ended_at", ["ended_at"], "ended_at IS NOT NULL")
    _create("ix_task_held", ["queue"], "lease_until IS NOT NULL")
    _create("ix_task_undone", ["queue", "ended_at"], "state IN ('FAILURE', 'REVOKED')")
    _create(
        "uq_task_lock_key",
        ["lock_key"],
        "lock_key IS NOT NULL AND state IN ('STARTED', 'PROGRESS')",
        unique=True,
    )


def downgrade() -> None:
    """Undo."""
    for name in (
        "uq_task_lock_key",
        "ix_task_undone",
        "ix_task_held",
        "ix_task_ended_at",
        "ix_task_due",
    ):
        op.drop_index(name, "task")
    _create("ix_task_due", ["queue", "run_after"], "state IN ('PENDING', 'RETRY')")
    op.create_index("ix_task_ended_at", "task", ["ended_at"], unique=False)
    op.create_index("ix_task_sweep", "task", ["state", "run_after"], unique=False)
    _create("uq_task_lock_key", ["lock_key"], "state IN ('STARTED', 'PROGRESS')", unique=True)


def _create(name: str, columns: list[str], where: str, unique: bool = False) -> None:
    condition = sa.text(where)
    op.create_index(name, "task", columns, unique=unique, sqlite_where=condition, postgresql_where=condition)
