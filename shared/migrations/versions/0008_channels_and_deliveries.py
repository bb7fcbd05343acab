"""Channels, and the attempts of their deliveries.

Revision 0008, after 0007. Deliveries that there are were all made in the application, at once; of runs that have ended
their users were told.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import shared.database

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

JSON = sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql")
TIME = shared.database.UtcDateTime(timezone=True)
PENDING = sa.text("state = 'pending'")


def _enum(name: str, *values: str) -> sa.Enum:
    return sa.Enum(*values, name=name, native_enum=False, length=32)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "channel",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("kind", _enum("channelkind", "webhook", "email", "chat"), nullable=False),
        sa.Column("target", sa.LargeBinary(), nullable=False),
        sa.Column("shown_target", sa.String(length=300), nullable=False),
        sa.Column("destination", sa.String(length=300), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
        sa.Column("previous_secret_until", TIME, nullable=True),
        sa.Column("min_priority", _enum("priority", "low", "normal", "high", "critical"), nullable=False),
        sa.Column("types", JSON, nullable=True),
        sa.Column("quiet_hours", JSON, nullable=True),
        sa.Column("digest", _enum("digest", "immediate", "hourly", "daily"), nullable=False),
        sa.Column("state", _enum("channelstate", "active", "paused", "disabled"), nullable=False),
        sa.Column("state_reason", sa.Text(), nullable=True),
        sa.Column("state_since", TIME, nullable=False),
        sa.Column("failing_since", TIME, nullable=True),
        sa.Column("next_attempt_at", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_channel_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_channel")),
    )
    op.create_index("ix_channel_user_id", "channel", ["user_id", "created_at"])
    _change_delivery()
    op.create_table(
        "delivery_attempt",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("channel_id", sa.Uuid(), nullable=False),
        sa.Column("delivery_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", TIME, nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column(
            "outcome", _enum("outcome", "delivered", "retry", "refused", "gone", "lost"), nullable=True
        ),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name=op.f("fk_delivery_attempt_channel_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["delivery_id"], ["delivery.id"], name=op.f("fk_delivery_attempt_delivery_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery_attempt")),
    )
    op.create_index("ix_delivery_attempt_channel_id", "delivery_attempt", ["channel_id", "started_at"])
    op.create_index("ix_delivery_attempt_delivery_id", "delivery_attempt", ["delivery_id", "started_at"])
    op.add_column("notification", sa.Column("data", JSON, nullable=True))
    op.add_column("run", sa.Column("told_at", TIME, nullable=True))
    op.execute("UPDATE run SET told_at = ended_at")


def _change_delivery() -> None:
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.add_column(sa.Column("channel_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("step", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("due_at", TIME, nullable=True))
        batch_op.add_column(sa.Column("run_after", TIME, nullable=True))
        batch_op.add_column(sa.Column("waits", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("order_key", sa.String(length=120), nullable=True))
        batch_op.add_column(sa.Column("digest_due", TIME, nullable=True))
        batch_op.add_column(sa.Column("carrier_id", sa.Uuid(), nullable=True))
    op.execute("UPDATE delivery SET due_at = created_at")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.alter_column("due_at", existing_type=TIME, nullable=False)
        batch_op.drop_constraint(batch_op.f("uq_delivery_notification_id_channel"), type_="unique")
        batch_op.create_index("ix_delivery_carrier_id", ["carrier_id"], unique=False)
        batch_op.create_index(
            "ix_delivery_pending",
            ["channel_id", "order_key"],
            unique=False,
            sqlite_where=PENDING,
            postgresql_where=PENDING,
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_delivery_channel_id_digest_due"), ["channel_id", "digest_due"]
        )
        batch_op.create_unique_constraint(
            batch_op.f("uq_delivery_notification_id_channel_id"), ["notification_id", "channel_id"]
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_delivery_channel_id"), "channel", ["channel_id"], ["id"], ondelete="CASCADE"
        )
        batch_op.create_foreign_key(
            batch_op.f("fk_delivery_carrier_id"), "delivery", ["carrier_id"], ["id"], ondelete="CASCADE"
        )


def downgrade() -> None:
    """Undo; what went through channels is forgotten with them."""
    op.drop_column("run", "told_at")
    op.drop_column("notification", "data")
    op.drop_table("delivery_attempt")
    op.execute("DELETE FROM delivery WHERE channel_id IS NOT NULL")
    with op.batch_alter_table("delivery", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_delivery_carrier_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("fk_delivery_channel_id"), type_="foreignkey")
        batch_op.drop_constraint(batch_op.f("uq_delivery_notification_id_channel_id"), type_="unique")
        batch_op.drop_constraint(batch_op.f("uq_delivery_channel_id_digest_due"), type_="unique")
        batch_op.drop_index("ix_delivery_pending", sqlite_where=PENDING, postgresql_where=PENDING)
        batch_op.drop_index("ix_delivery_carrier_id")
        batch_op.create_unique_constraint(
            batch_op.f("uq_delivery_notification_id_channel"), ["notification_id", "channel"]
        )
        for name in (
            "carrier_id", "digest_due", "order_key", "waits", "run_after", "due_at", "step", "channel_id"
        ):  # fmt: skip
            batch_op.drop_column(name)
    op.drop_table("channel")
