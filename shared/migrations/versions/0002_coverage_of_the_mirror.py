"""Coverage of the mirror.

Revision 0002, after 0001.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import shared.database

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "feed_state",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("known_as", sa.String(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("written_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("imported_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("checked_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_feed_state")),
    )
    op.create_table(
        "mirror_coverage",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("watermark", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("upstream_total", sa.Integer(), nullable=True),
        sa.Column("upstream_total_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("full_read_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("stale_told_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_mirror_coverage")),
    )
    op.create_table(
        "sync_window",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column("since", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("until", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("passes", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_window")),
    )
    op.create_table(
        "proven_range",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("since", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("until", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("sync_id", sa.Integer(), nullable=False),
        sa.Column("proven_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sync_id"], ["sync.id"], name=op.f("fk_proven_range_sync_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_proven_range")),
    )
    with op.batch_alter_table("proven_range", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_proven_range_sync_id"), ["sync_id"], unique=False)

    op.create_table(
        "sync_page",
        sa.Column("window_id", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("start", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("end", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("timestamp", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("keys", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["window_id"], ["sync_window.id"], name=op.f("fk_sync_page_window_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("window_id", "number", "start", name=op.f("pk_sync_page")),
    )
    with op.batch_alter_table("sync", schema=None) as batch_op:
        batch_op.add_column(sa.Column("substitute", sa.String(), nullable=True))
        batch_op.add_column(
            sa.Column(
                "troubles",
                sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
                nullable=True,
            )
        )

    _order_cwes("vulnerability_id", "cwe")
    op.create_index(op.f("ix_vulnerability_cwe_cwe"), "vulnerability_cwe", ["cwe"], unique=False)


def downgrade() -> None:
    """Undo."""
    op.drop_index(op.f("ix_vulnerability_cwe_cwe"), "vulnerability_cwe")
    _order_cwes("cwe", "vulnerability_id")
    with op.batch_alter_table("sync", schema=None) as batch_op:
        batch_op.drop_column("troubles")
        batch_op.drop_column("substitute")

    op.drop_table("sync_page")
    with op.batch_alter_table("proven_range", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_proven_range_sync_id"))

    op.drop_table("proven_range")
    op.drop_table("sync_window")
    op.drop_table("mirror_coverage")
    op.drop_table("feed_state")


def _order_cwes(*key: str) -> None:
    """Order the table by another key: a record's weaknesses are replaced together with it."""
    op.execute("CREATE TABLE cwe_copy AS SELECT * FROM vulnerability_cwe")
    op.drop_table("vulnerability_cwe")
    op.create_table(
        "vulnerability_cwe",
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("cwe", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_vulnerability_cwe")),
        sqlite_with_rowid=False,
    )
    op.execute(
        "INSERT INTO vulnerability_cwe (vulnerability_id, cwe) SELECT vulnerability_id, cwe FROM cwe_copy"
    )
    op.drop_table("cwe_copy")
