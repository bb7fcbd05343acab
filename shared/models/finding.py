"""Findings: this vulnerability affects this component of this asset. They live across runs."""

import datetime as dt
import enum
import uuid
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.asset import Asset
from shared.models.base import Base, Document, enum_column

if TYPE_CHECKING:
    from shared.models.enrichment import EpssScore


class FindingStatus(enum.StrEnum):
    """What the last completed run saw; the transitions are in `shared.lifecycle.finding`."""

    OPEN = "open"
    """The last completed run saw it."""
    FIXED = "fixed"
    """The component is gone or its version is no longer affected."""
    RETRACTED = "retracted"
    """The CVE was rejected or its data no longer matches; nothing was fixed."""


class Triage(enum.StrEnum):
    """What a human decided; separate from the status."""

    UNSET = "unset"
    IN_TRIAGE = "in_triage"
    EXPLOITABLE = "exploitable"
    NOT_AFFECTED = "not_affected"
    """Needs a justification."""
    FALSE_POSITIVE = "false_positive"
    RISK_ACCEPTED = "risk_accepted"
    """Until a date."""


class Severity(enum.StrEnum):
    """Qualitative severity of the chosen CVSS score; the order is from harmless to worst."""

    UNKNOWN = "unknown"
    """No score: NVD has not analysed it."""
    NONE = "none"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"

    @property
    def rank(self) -> int:
        """Greater is worse."""
        return list(Severity).index(self)


class Finding(Base):
    """One identity per asset, component (whatever its version) and vulnerability."""

    __tablename__ = "finding"
    __table_args__ = (
        sa.UniqueConstraint("asset_id", "component_key", "cve_id"),
        sa.Index("ix_finding_status", "status", "severity"),
        sa.Index("ix_finding_cve_id", "cve_id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    asset_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("asset.id", ondelete="CASCADE"))
    component_key: Mapped[str] = mapped_column(sa.String(400))
    """The component without its version (`shared.lifecycle.finding.component_key`), so that triage outlives an upgrade
    that did not help."""
    cve_id: Mapped[str] = mapped_column(sa.String(32))
    host: Mapped[str | None] = mapped_column(sa.String(64))
    """The address of the host that it is about, when a network scan found the component; part of its key."""
    port: Mapped[str | None] = mapped_column(sa.String(16))
    """Where the component answers on that host: `22/tcp`; part of its key."""
    component_name: Mapped[str] = mapped_column(sa.Text)
    component_version: Mapped[str | None] = mapped_column(sa.Text)
    """The affected versions present, comma-separated when the asset holds several."""
    status: Mapped[FindingStatus] = mapped_column(enum_column(FindingStatus), default=FindingStatus.OPEN)
    certainty: Mapped[str] = mapped_column(sa.String(16))
    severity: Mapped[Severity] = mapped_column(enum_column(Severity))
    score: Mapped[float | None]
    kev: Mapped[bool]
    """Whether the CVE is known to be exploited (`shared.models.enrichment.is_known_exploited`)."""
    evidence: Mapped[list[Document]]
    """One per affected occurrence of the component, the surest first."""
    snapshot: Mapped[int]
    first_run_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("run.id", ondelete="SET NULL"), nullable=True
    )
    last_run_id: Mapped[uuid.UUID] = mapped_column(
        sa.ForeignKey("run.id", ondelete="SET NULL"), nullable=True
    )
    first_seen_at: Mapped[dt.datetime]
    last_seen_at: Mapped[dt.datetime]
    fixed_at: Mapped[dt.datetime | None]
    triage: Mapped[Triage] = mapped_column(enum_column(Triage), default=Triage.UNSET)
    justification: Mapped[str | None] = mapped_column(sa.Text)
    risk_accepted_until: Mapped[dt.date | None]
    version: Mapped[int] = mapped_column(default=1)
    """Grows with every triage; the ETag."""
    asset: Mapped[Asset] = relationship()
    epss: Mapped["EpssScore | None"] = relationship(
        secondary="vulnerability",
        primaryjoin="Finding.cve_id == Vulnerability.cve_id",
        secondaryjoin="foreign(EpssScore.vulnerability_id) == Vulnerability.id",
        viewonly=True,
        uselist=False,
    )
    events: Mapped[list["FindingEvent"]] = relationship(
        order_by="FindingEvent.id", passive_deletes=True, cascade="all, delete-orphan"
    )


class FindingEvent(Base):
    """The permanent history of a finding: what changed, when, by which run or whom."""

    __tablename__ = "finding_event"

    id: Mapped[int] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True)
    finding_id: Mapped[uuid.UUID] = mapped_column(sa.ForeignKey("finding.id", ondelete="CASCADE"), index=True)
    at: Mapped[dt.datetime]
    kind: Mapped[str] = mapped_column(sa.String(16))
    """`opened`, `fixed`, `reopened`, `retracted`, `severity_raised`, `triaged`, `known_exploited` or `kev_withdrawn`."""
    run_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    user_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    detail: Mapped[Document | None]
