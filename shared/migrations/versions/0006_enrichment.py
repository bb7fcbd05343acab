"""What CISA and FIRST say of vulnerabilities.

Revision 0006, after 0005.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import shared.database

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "enrichment_source",
        sa.Column(
            "name",
            sa.Enum("kev", "epss", name="source", native_enum=False, create_constraint=False, length=32),
            nullable=False,
        ),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("released_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("skipped", JSON, nullable=False),
        sa.Column("last_attempt_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_success_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("last_modified", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_enrichment_source")),
    )
    op.create_table(
        "epss_score",
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("score", sa.Double(), nullable=False),
        sa.Column("percentile", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("vulnerability_id", name=op.f("pk_epss_score")),
    )
    with op.batch_alter_table("epss_score", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_epss_score_score"), ["score"], unique=False)

    op.create_table(
        "known_exploited",
        sa.Column("cve_id", sa.String(length=32), nullable=False),
        sa.Column("added", sa.Date(), nullable=False),
        sa.Column("due", sa.Date(), nullable=True),
        sa.Column("ransomware", sa.Boolean(), nullable=False),
        sa.Column("vendor", sa.String(), nullable=True),
        sa.Column("product", sa.String(), nullable=True),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("notes", sa.Text(), nullable=True),
        sa.Column("cwes", JSON, nullable=False),
        sa.PrimaryKeyConstraint("cve_id", name=op.f("pk_known_exploited")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("known_exploited")
    with op.batch_alter_table("epss_score", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_epss_score_score"))

    op.drop_table("epss_score")
    op.drop_table("enrichment_source")
