"""The first schema.

Revision 0001, after nothing.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

import shared.database

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "criterion",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("criteria", sa.String(), nullable=False),
        sa.Column("version_start_including", sa.String(), nullable=True),
        sa.Column("version_start_excluding", sa.String(), nullable=True),
        sa.Column("version_end_including", sa.String(), nullable=True),
        sa.Column("version_end_excluding", sa.String(), nullable=True),
        sa.Column("match_criteria_id", sa.String(), nullable=True),
        sa.Column("product_key", sa.String(), nullable=False),
        sa.Column("version_key", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_criterion")),
    )
    with op.batch_alter_table("criterion", schema=None) as batch_op:
        batch_op.create_index(
            "ix_criterion_product_key_version_key", ["product_key", "version_key"], unique=False
        )

    op.create_table(
        "criterion_use",
        sa.Column(
            "criterion_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("vulnerable", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("criterion_id", "vulnerability_id", name=op.f("pk_criterion_use")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "feed_checkpoint",
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("updated_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("completed_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_feed_checkpoint")),
    )
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
        "mirror_change",
        sa.Column("snapshot", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "kind",
            sa.Enum("added", "changed", "rejected", name="changekind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("old_criteria", sa.LargeBinary(), nullable=False),
        sa.Column("new_criteria", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot", "vulnerability_id", name=op.f("pk_mirror_change")),
        sqlite_with_rowid=False,
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
        "snapshot_counter",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_snapshot_counter")),
    )
    op.create_table(
        "sync",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column(
            "kind",
            sa.Enum("feed", "bootstrap", "update", "full", name="synckind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "running", "completed", "failed", "cancelled", name="syncstate", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column("task_id", sa.Uuid(), nullable=True),
        sa.Column("started_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("finished_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("read", sa.Integer(), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.Column("unchanged", sa.Integer(), nullable=False),
        sa.Column("quarantined", sa.Integer(), nullable=False),
        sa.Column("upstream_total", sa.Integer(), nullable=True),
        sa.Column("upstream_timestamp", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("substitute", sa.String(), nullable=True),
        sa.Column(
            "troubles",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync")),
    )
    with op.batch_alter_table("sync", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sync_task_id"), ["task_id"], unique=False)

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
        "user",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("email", sa.String(length=254), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "role",
            sa.Enum("viewer", "analyst", "admin", name="role", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("password_hash", sa.String(length=200), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("email", name=op.f("uq_user_email")),
    )
    op.create_table(
        "vulnerability",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("cve_id", sa.String(), nullable=False),
        sa.Column("year", sa.SmallInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("rejected", sa.Boolean(), nullable=False),
        sa.Column("analysed", sa.Boolean(), nullable=False),
        sa.Column("published", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_modified", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column(
            "severity",
            sa.Enum(
                "unknown",
                "none",
                "low",
                "medium",
                "high",
                "critical",
                name="severity",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("cvss_version", sa.String(), nullable=True),
        sa.Column("cvss_vector", sa.String(), nullable=True),
        sa.Column("kev_added", sa.Date(), nullable=True),
        sa.Column("kev_due", sa.Date(), nullable=True),
        sa.Column("kev_name", sa.String(), nullable=True),
        sa.Column("kev_action", sa.String(), nullable=True),
        sa.Column("has_affected", sa.Boolean(), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("tree", sa.LargeBinary(), nullable=True),
        sa.Column("description", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_vulnerability")),
        sa.UniqueConstraint("cve_id", name=op.f("uq_vulnerability_cve_id")),
    )
    with op.batch_alter_table("vulnerability", schema=None) as batch_op:
        batch_op.create_index(
            "ix_vulnerability_kev_added",
            ["kev_added"],
            unique=False,
            sqlite_where=sa.text("kev_added IS NOT NULL"),
            postgresql_where=sa.text("kev_added IS NOT NULL"),
        )
        batch_op.create_index(batch_op.f("ix_vulnerability_last_modified"), ["last_modified"], unique=False)
        batch_op.create_index(batch_op.f("ix_vulnerability_published"), ["published"], unique=False)

    op.create_table(
        "vulnerability_cwe",
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("cwe", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("vulnerability_id", "cwe", name=op.f("pk_vulnerability_cwe")),
        sqlite_with_rowid=False,
    )
    with op.batch_alter_table("vulnerability_cwe", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_vulnerability_cwe_cwe"), ["cwe"], unique=False)

    op.create_table(
        "vulnerability_record",
        sa.Column(
            "vulnerability_id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("vulnerability_id", name=op.f("pk_vulnerability_record")),
    )
    op.create_table(
        "asset",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column(
            "kind",
            sa.Enum(
                "application", "image", "host", "network", name="assetkind", native_enum=False, length=32
            ),
            nullable=False,
        ),
        sa.Column(
            "tags",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column(
            "criticality",
            sa.Enum("low", "medium", "high", "critical", name="criticality", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "document",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
        ),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user.id"], name=op.f("fk_asset_created_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_asset")),
        sa.UniqueConstraint("name", name=op.f("uq_asset_name")),
    )
    op.create_table(
        "idempotent_answer",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=400), nullable=True),
        sa.Column(
            "body",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_idempotent_answer_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "key", name=op.f("pk_idempotent_answer")),
    )
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotent_answer_created_at"), ["created_at"], unique=False)

    op.create_table(
        "notification",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=False),
        sa.Column("title", sa.String(length=200), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column(
            "priority",
            sa.Enum("low", "normal", "high", "critical", name="priority", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("entity_type", sa.String(length=32), nullable=True),
        sa.Column("entity_id", sa.String(length=64), nullable=True),
        sa.Column("dedupe_key", sa.String(length=200), nullable=False),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("read_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_notification_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notification")),
        sa.UniqueConstraint("user_id", "dedupe_key", name=op.f("uq_notification_user_id_dedupe_key")),
    )
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.create_index("ix_notification_user_id", ["user_id", "created_at"], unique=False)

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
        "quarantine",
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("cve_id", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("sync_id", sa.Integer(), nullable=False),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("first_seen_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["sync_id"], ["sync.id"], name=op.f("fk_quarantine_sync_id")),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_quarantine")),
    )
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_quarantine_sync_id"), ["sync_id"], unique=False)

    op.create_table(
        "snapshot",
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("sync_id", sa.Integer(), nullable=False),
        sa.Column("committed_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("changed", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["sync_id"], ["sync.id"], name=op.f("fk_snapshot_sync_id")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_snapshot")),
    )
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_snapshot_sync_id"), ["sync_id"], unique=False)

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
    op.create_table(
        "task",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("queue", sa.String(length=32), nullable=False),
        sa.Column(
            "arguments",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column(
            "state",
            sa.Enum(
                "PENDING",
                "STARTED",
                "PROGRESS",
                "RETRY",
                "SUCCESS",
                "FAILURE",
                "REVOKED",
                name="taskstate",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("losses", sa.Integer(), nullable=False),
        sa.Column("epoch", sa.Integer(), nullable=False),
        sa.Column("run_after", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("lease_until", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("worker", sa.String(length=128), nullable=True),
        sa.Column("stage", sa.String(length=32), nullable=True),
        sa.Column("current", sa.Integer(), nullable=True),
        sa.Column("total", sa.Integer(), nullable=True),
        sa.Column(
            "result",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("dedupe_key", sa.String(length=200), nullable=True),
        sa.Column("lock_key", sa.String(length=200), nullable=True),
        sa.Column("asked_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("rung_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("cancel_requested_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["asked_by"], ["user.id"], name=op.f("fk_task_asked_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_task")),
    )
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.create_index("ix_task_ended_at", ["ended_at"], unique=False)
        batch_op.create_index("ix_task_sweep", ["state", "run_after"], unique=False)
        batch_op.create_index(
            "uq_task_dedupe_key",
            ["dedupe_key"],
            unique=True,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index(
            "uq_task_lock_key",
            ["lock_key"],
            unique=True,
            sqlite_where=sa.text("state IN ('STARTED', 'PROGRESS')"),
            postgresql_where=sa.text("state IN ('STARTED', 'PROGRESS')"),
        )

    op.create_table(
        "token",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("prefix", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("expires_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user.id"], name=op.f("fk_token_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_token_user_id"), ["user_id"], unique=False)

    op.create_table(
        "component",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column(
            "source",
            sa.Enum("sbom", "inventory", "network", name="inventorysource", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("vendor", sa.Text(), nullable=True),
        sa.Column("type", sa.String(length=64), nullable=True),
        sa.Column("purl", sa.Text(), nullable=True),
        sa.Column(
            "cpes",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_component_asset_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_component")),
    )
    with op.batch_alter_table("component", schema=None) as batch_op:
        batch_op.create_index("ix_component_asset_id", ["asset_id", "source", "position"], unique=False)

    op.create_table(
        "delivery",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("notification_id", sa.Uuid(), nullable=False),
        sa.Column("channel", sa.String(length=64), nullable=False),
        sa.Column(
            "state",
            sa.Enum("pending", "delivered", "failed", name="deliverystate", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ended_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["notification_id"],
            ["notification.id"],
            name=op.f("fk_delivery_notification_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_delivery")),
        sa.UniqueConstraint("notification_id", "channel", name=op.f("uq_delivery_notification_id_channel")),
    )
    op.create_table(
        "scan",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column(
            "scanner",
            sa.Enum("sbom", "inventory", name="scannerkind", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column(
            "options",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("cron", sa.String(length=100), nullable=True),
        sa.Column("timezone", sa.String(length=64), nullable=False),
        sa.Column("next_run_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("created_by", sa.Uuid(), nullable=True),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("updated_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("latest_run_id", sa.Uuid(), nullable=True),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_scan_asset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["created_by"], ["user.id"], name=op.f("fk_scan_created_by"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_scan")),
    )
    with op.batch_alter_table("scan", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_scan_asset_id"), ["asset_id"], unique=False)
        batch_op.create_index("ix_scan_next_run_at", ["next_run_at"], unique=False)

    op.create_table(
        "run",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("scan_id", sa.Uuid(), nullable=False),
        sa.Column("task_id", sa.Uuid(), nullable=False),
        sa.Column(
            "status",
            sa.Enum(
                "queued",
                "running",
                "cancelling",
                "completed",
                "failed",
                "cancelled",
                name="runstatus",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("trigger", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.Uuid(), nullable=True),
        sa.Column("snapshot", sa.Integer(), nullable=True),
        sa.Column(
            "counts",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
        ),
        sa.Column("error", sa.Text(), nullable=True),
        sa.Column("created_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("started_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column("ended_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["requested_by"], ["user.id"], name=op.f("fk_run_requested_by"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(["scan_id"], ["scan.id"], name=op.f("fk_run_scan_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_run")),
        sa.UniqueConstraint("task_id", name=op.f("uq_run_task_id")),
    )
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.create_index("ix_run_scan_id", ["scan_id", "created_at"], unique=False)
        batch_op.create_index(
            "uq_run_open",
            ["scan_id"],
            unique=True,
            sqlite_where=sa.text("status IN ('queued', 'running', 'cancelling')"),
            postgresql_where=sa.text("status IN ('queued', 'running', 'cancelling')"),
        )

    op.create_table(
        "finding",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.Column("component_key", sa.String(length=400), nullable=False),
        sa.Column("cve_id", sa.String(length=32), nullable=False),
        sa.Column("component_name", sa.Text(), nullable=False),
        sa.Column("component_version", sa.Text(), nullable=True),
        sa.Column(
            "status",
            sa.Enum("open", "fixed", "retracted", name="findingstatus", native_enum=False, length=32),
            nullable=False,
        ),
        sa.Column("certainty", sa.String(length=16), nullable=False),
        sa.Column(
            "severity",
            sa.Enum(
                "unknown",
                "none",
                "low",
                "medium",
                "high",
                "critical",
                name="severity",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("score", sa.Double(), nullable=True),
        sa.Column("kev", sa.Boolean(), nullable=False),
        sa.Column(
            "evidence",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=False,
        ),
        sa.Column("snapshot", sa.Integer(), nullable=False),
        sa.Column("first_run_id", sa.Uuid(), nullable=True),
        sa.Column("last_run_id", sa.Uuid(), nullable=True),
        sa.Column("first_seen_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("last_seen_at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("fixed_at", shared.database.UtcDateTime(timezone=True), nullable=True),
        sa.Column(
            "triage",
            sa.Enum(
                "unset",
                "in_triage",
                "exploitable",
                "not_affected",
                "false_positive",
                "risk_accepted",
                name="triage",
                native_enum=False,
                length=32,
            ),
            nullable=False,
        ),
        sa.Column("justification", sa.Text(), nullable=True),
        sa.Column("risk_accepted_until", sa.Date(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["asset.id"], name=op.f("fk_finding_asset_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["first_run_id"], ["run.id"], name=op.f("fk_finding_first_run_id"), ondelete="SET NULL"
        ),
        sa.ForeignKeyConstraint(
            ["last_run_id"], ["run.id"], name=op.f("fk_finding_last_run_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding")),
        sa.UniqueConstraint(
            "asset_id", "component_key", "cve_id", name=op.f("uq_finding_asset_id_component_key_cve_id")
        ),
    )
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.create_index("ix_finding_cve_id", ["cve_id"], unique=False)
        batch_op.create_index("ix_finding_status", ["status", "severity"], unique=False)

    op.create_table(
        "finding_event",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("finding_id", sa.Uuid(), nullable=False),
        sa.Column("at", shared.database.UtcDateTime(timezone=True), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("run_id", sa.Uuid(), nullable=True),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column(
            "detail",
            sa.JSON().with_variant(postgresql.JSONB(astext_type=sa.Text()), "postgresql"),
            nullable=True,
        ),
        sa.ForeignKeyConstraint(
            ["finding_id"], ["finding.id"], name=op.f("fk_finding_event_finding_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user.id"], name=op.f("fk_finding_event_user_id"), ondelete="SET NULL"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_finding_event")),
    )
    with op.batch_alter_table("finding_event", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_finding_event_finding_id"), ["finding_id"], unique=False)


def downgrade() -> None:
    """Undo."""
    with op.batch_alter_table("finding_event", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_finding_event_finding_id"))

    op.drop_table("finding_event")
    with op.batch_alter_table("finding", schema=None) as batch_op:
        batch_op.drop_index("ix_finding_status")
        batch_op.drop_index("ix_finding_cve_id")

    op.drop_table("finding")
    with op.batch_alter_table("run", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_run_open",
            sqlite_where=sa.text("status IN ('queued', 'running', 'cancelling')"),
            postgresql_where=sa.text("status IN ('queued', 'running', 'cancelling')"),
        )
        batch_op.drop_index("ix_run_scan_id")

    op.drop_table("run")
    with op.batch_alter_table("scan", schema=None) as batch_op:
        batch_op.drop_index("ix_scan_next_run_at")
        batch_op.drop_index(batch_op.f("ix_scan_asset_id"))

    op.drop_table("scan")
    op.drop_table("delivery")
    with op.batch_alter_table("component", schema=None) as batch_op:
        batch_op.drop_index("ix_component_asset_id")

    op.drop_table("component")
    with op.batch_alter_table("token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_token_user_id"))

    op.drop_table("token")
    with op.batch_alter_table("task", schema=None) as batch_op:
        batch_op.drop_index(
            "uq_task_lock_key",
            sqlite_where=sa.text("state IN ('STARTED', 'PROGRESS')"),
            postgresql_where=sa.text("state IN ('STARTED', 'PROGRESS')"),
        )
        batch_op.drop_index(
            "uq_task_dedupe_key",
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.drop_index("ix_task_sweep")
        batch_op.drop_index("ix_task_ended_at")

    op.drop_table("task")
    op.drop_table("sync_page")
    with op.batch_alter_table("snapshot", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_snapshot_sync_id"))

    op.drop_table("snapshot")
    with op.batch_alter_table("quarantine", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_quarantine_sync_id"))

    op.drop_table("quarantine")
    with op.batch_alter_table("proven_range", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_proven_range_sync_id"))

    op.drop_table("proven_range")
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.drop_index("ix_notification_user_id")

    op.drop_table("notification")
    with op.batch_alter_table("idempotent_answer", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_idempotent_answer_created_at"))

    op.drop_table("idempotent_answer")
    op.drop_table("asset")
    op.drop_table("vulnerability_record")
    with op.batch_alter_table("vulnerability_cwe", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vulnerability_cwe_cwe"))

    op.drop_table("vulnerability_cwe")
    with op.batch_alter_table("vulnerability", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_vulnerability_published"))
        batch_op.drop_index(batch_op.f("ix_vulnerability_last_modified"))
        batch_op.drop_index(
            "ix_vulnerability_kev_added",
            sqlite_where=sa.text("kev_added IS NOT NULL"),
            postgresql_where=sa.text("kev_added IS NOT NULL"),
        )

    op.drop_table("vulnerability")
    op.drop_table("user")
    op.drop_table("sync_window")
    with op.batch_alter_table("sync", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_sync_task_id"))

    op.drop_table("sync")
    op.drop_table("snapshot_counter")
    op.drop_table("mirror_coverage")
    op.drop_table("mirror_change")
    op.drop_table("feed_state")
    op.drop_table("feed_checkpoint")
    op.drop_table("criterion_use")
    with op.batch_alter_table("criterion", schema=None) as batch_op:
        batch_op.drop_index("ix_criterion_product_key_version_key")

    op.drop_table("criterion")
