"""Attempts say when a mail was about to be ended: one that nobody answered for is not sent twice.

Revision 0011, after 0010.
"""

import sqlalchemy as sa
from alembic import op

from shared.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("delivery_attempt", sa.Column("handing_over_at", UtcDateTime(), nullable=True))


def downgrade() -> None:
    """Undo."""
    op.drop_column("delivery_attempt", "handing_over_at")
