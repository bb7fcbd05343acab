"""What became of the attempts at a task.

Revision 0012, after 0011.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.add_column("task", sa.Column("history", JSON, nullable=False, server_default="[]"))


def downgrade() -> None:
    """Undo."""
    op.drop_column("task", "history")
