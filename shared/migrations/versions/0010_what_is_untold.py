"""Index the runs that nobody was told of yet, and the events of findings by run.

Revision 0010, after 0009.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UNTOLD = sa.text("told_at IS NULL")


def upgrade() -> None:
    """Apply."""
    op.create_index(
        "ix_run_untold", "run", ["requested_by"], unique=False, sqlite_where=UNTOLD, postgresql_where=UNTOLD
    )
    op.create_index("ix_finding_event_run_id", "finding_event", ["run_id"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_finding_event_run_id", "finding_event")
    op.drop_index("ix_run_untold", "run")
