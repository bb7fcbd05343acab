"""Scans (the definitions) and their runs (the executions)."""

import datetime as dt
import enum
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.asset import Asset
from shared.models.base import Base, Document, enum_column


class ScannerKind(enum.StrEnum):
    """Which scanner collects the components; one module each in `worker_service.scanners`."""

    SBOM = "sbom"
    INVENTORY = "inventory"
    NETWORK = "network"


class RunStatus(enum.StrEnum):
    """Where a run stands; it changes in the same transaction as its task (`shared.lifecycle.run`)."""

    QUEUED = "queued"
    """Asked for, or between two attempts."""
    RUNNING = "running"
    """A worker is on it."""
    CANCELLING = "cancelling"
    """Somebody asked it to stop; it ends as cancelled within 30 s."""
    COMPLETED = "completed"
    """Its findings are recorded."""
    FAILED = "failed"
    """Given up; it changed no finding."""
    CANCELLED = "cancelled"
    """Stopped; it changed no finding."""


class Trigger(enum.StrEnum):
    """What started a run."""

    MANUAL = "manual"
    """Somebody."""
    SCHEDULE = "schedule"
    """The scan's schedule was due."""
    MIRROR = "mirror"
    """The mirror changed in what concerns the asset: its stored inventory is matched again, nothing is collected."""


OPEN_RUN = (RunStatus.QUEUED, RunStatus.RUNNING, RunStatus.CANCELLING)
"""States of a run that has not ended."""

_UNTOLD_SQL = sa.text("told_at IS NULL")
_OPEN_SQL = sa.text("status IN ('queued', 'running', 'cancelling')")


class Scan(Base):
    """The definition: an asset, a scanner, an optional schedule."""

    __tablename__ = "scan"
    __table_args__ = (sa.Index("ix_scan_next_run_at", "next_run_at"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(200))
    asset_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("asset.id", ondelete="CASCADE"), index=True)
    scanner: Mapped[ScannerKind] = mapped_column(enum_column(ScannerKind))
    options: Mapped[Document]
    cron: Mapped[str | None] = mapped_column(sa.String(100))
    timezone: Mapped[str] = mapped_column(sa.String(64), default="UTC")
    next_run_at: Mapped[dt.datetime | None]
    """When the schedule is due; None without one."""
    created_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    created_at: Mapped[dt.datetime]
    updated_at: Mapped[dt.datetime]
    latest_run_id: Mapped[uuid.UUID | None]
    """One of its own runs, so without a foreign key that would go round in a circle."""
    latest_run: Mapped["Run | None"] = relationship(
        primaryjoin="foreign(Scan.latest_run_id) == Run.id", lazy="joined", viewonly=True
    )
    asset: Mapped[Asset] = relationship()

    @property
    def status(self) -> str:
        """The latest run's status, `pending` before the first."""
        return self.latest_run.status.value if self.latest_run else "pending"


class Run(Base):
    """One execution of a scan."""

    __tablename__ = "run"
    __table_args__ = (
        sa.Index("uq_run_open", "scan_id", unique=True, sqlite_where=_OPEN_SQL, postgresql_where=_OPEN_SQL),
        sa.Index("ix_run_scan_id", "scan_id", "created_at"),
        sa.Index("ix_run_untold", "requested_by", sqlite_where=_UNTOLD_SQL, postgresql_where=_UNTOLD_SQL),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    scan_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("scan.id", ondelete="CASCADE"))
    task_id: Mapped[uuid.UUID] = mapped_column(unique=True)
    """No foreign key: the task row is kept for a day after its end, the run for good."""
    status: Mapped[RunStatus] = mapped_column(enum_column(RunStatus), default=RunStatus.QUEUED)
    trigger: Mapped[Trigger] = mapped_column(enum_column(Trigger), default=Trigger.MANUAL)
    requested_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    """Who is told when it ends."""
    snapshot: Mapped[int | None]
    """The mirror snapshot that the matching used."""
    counts: Mapped[Document | None]
    """`{components, findings, new, reopened, fixed, critical, high, medium, low, none, unknown}` of a completed run."""
    network: Mapped[Document | None]
    """What a completed network run looked at (`shared.hosts.Seen.document`)."""
    error: Mapped[str | None] = mapped_column(sa.Text)
    created_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    told_at: Mapped[dt.datetime | None]
    """When whoever asked was told of its end: once, however often the telling is tried."""
