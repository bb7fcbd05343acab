"""The request that a task goes back to.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("task", sa.Column("request_id", sa.String(length=64), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("task", "request_id")
