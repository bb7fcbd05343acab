"""Network scans: hosts and their ports, where a component and a finding are, what a run looked at.

Revision 0007, after 0006.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import shared.database

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
_PLACE = (("host", 64), ("port", 16))


def upgrade() -> None:
    """Apply. Columns are added where they are, since copying a table of a large installation takes long."""
    op.create_table(
        "host",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("names", _JSON, nullable=False),
        sa.Column("ports", _JSON, nullable=False),
        sa.Column("first_seen_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_host_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_host")),
        sa.UniqueConstraint("asset_id", "address", name=op.f("uq_host_asset_id_address")),
    )
    for table in ("component", "finding"):
        for name, length in _PLACE:
            op.add_column(table, sa.Column(name, sa.String(length=length), nullable=True))
    op.add_column("component", sa.Column("at_most", sa.String(length=32), nullable=True))
    op.add_column("component", sa.Column("because", sa.Text(), nullable=True))
    op.add_column("run", sa.Column("network", _JSON, nullable=True))


def downgrade() -> None:
    """Revert: network scans, what they found and their findings go, since the former schema cannot tell hosts apart."""
    op.execute("DELETE FROM finding WHERE host IS NOT NULL")
    op.execute("DELETE FROM component WHERE source = 'network'")
    op.execute("DELETE FROM scan WHERE scanner = 'network'")
    op.drop_column("run", "network")
    op.drop_column("component", "because")
    op.drop_column("component", "at_most")
    for table in ("finding", "component"):
        for name, _ in reversed(_PLACE):
            op.drop_column(table, name)
    op.drop_table("host")
