"""Which assets a change of the mirror concerns.

Revision 0004, after 0003.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply. What the mirror holds already is no news."""
    op.create_table(
        "asset_product",
        sa.Column("product_key", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_asset_product_asset_id_asset"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("product_key", "asset_id", name=op.f("pk_asset_product")),
    )
    op.create_index("ix_asset_product_asset_id", "asset_product", ["asset_id"])
    with op.batch_alter_table("run") as batch_op:
        batch_op.alter_column(
            "trigger", type_=sa.String(length=32), existing_type=sa.String(length=16), existing_nullable=False
        )
    op.add_column("asset", sa.Column("product_rules", sa.Integer(), nullable=True))
    op.add_column("snapshot_counter", sa.Column("followed", sa.Integer(), nullable=False, server_default="0"))
    op.execute("UPDATE snapshot_counter SET followed = number")


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("run") as batch_op:
        batch_op.alter_column(
            "trigger", type_=sa.String(length=16), existing_type=sa.String(length=32), existing_nullable=False
        )
    op.drop_column("snapshot_counter", "followed")
    op.drop_column("asset", "product_rules")
    op.drop_table("asset_product")
