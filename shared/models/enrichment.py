"""What others than the NVD say of vulnerabilities: CISA's catalogue of those known to be exploited, FIRST's EPSS scores.

Each is replaced as a whole by its own daily sync. A CVE that the mirror does not hold (yet) is kept and counts when it
arrives, hence no foreign keys.
"""

import datetime as dt
import enum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base, Document, enum_column
from shared.models.mirror import Id, Vulnerability


class Source(enum.StrEnum):
    """Who is asked."""

    KEV = "kev"
    """CISA's catalogue of known exploited vulnerabilities (https://www.cisa.gov/known-exploited-vulnerabilities)."""
    EPSS = "epss"
    """FIRST's Exploit Prediction Scoring System (https://www.first.org/epss)."""


class KnownExploited(Base):
    """An entry of CISA's catalogue."""

    __tablename__ = "known_exploited"

    cve_id: Mapped[str] = mapped_column(sa.String(32), primary_key=True)
    added: Mapped[dt.date]
    """When CISA listed it."""
    due: Mapped[dt.date | None]
    """By when US agencies must act."""
    ransomware: Mapped[bool]
    """It is known to be used by ransomware; if false, nobody has said so."""
    vendor: Mapped[str | None]
    product: Mapped[str | None]
    name: Mapped[str | None]
    action: Mapped[str | None] = mapped_column(sa.Text)
    """What CISA demands."""
    notes: Mapped[str | None] = mapped_column(sa.Text)
    cwes: Mapped[list[str]]


class EpssScore(Base):
    """How likely it is that a vulnerability is exploited in the next 30 days, as the EPSS model says."""

    __tablename__ = "epss_score"

    vulnerability_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    """As `shared.models.mirror.vulnerability_id` makes it."""
    score: Mapped[float] = mapped_column(index=True)
    """The probability, 0 to 1."""
    percentile: Mapped[float]
    """The share of all scored vulnerabilities with the same score or a lower one, 0 to 1."""


class EnrichmentSource(Base):
    """What is known of a source; there from the first attempt to read it on."""

    __tablename__ = "enrichment_source"

    name: Mapped[Source] = mapped_column(enum_column(Source), primary_key=True)
    version: Mapped[str | None]
    """Of the catalogue, or of the model, as the source writes it."""
    released_at: Mapped[dt.datetime | None]
    """The source's own time stamp."""
    count: Mapped[int] = mapped_column(default=0)
    """Entries held."""
    skipped: Mapped[Document] = mapped_column(default=dict)
    """Entries of the source that could not be used: reason to count."""
    last_attempt_at: Mapped[dt.datetime]
    last_success_at: Mapped[dt.datetime | None]
    """When it was last read, or last seen to be unchanged."""
    last_error: Mapped[str | None]
    """Why the last attempt failed, in plain words; None once one succeeded."""
    url: Mapped[str]
    """What was asked last; the two below hold for it only."""
    etag: Mapped[str | None]
    last_modified: Mapped[str | None]
    """The header `Last-Modified`, as it came."""


def is_known_exploited() -> sa.ColumnElement[bool]:
    """Whether a vulnerability is known to be exploited: its record says so, or CISA's catalogue does."""
    catalogue = sa.select(KnownExploited.cve_id)
    return sa.or_(Vulnerability.kev_added.is_not(None), Vulnerability.cve_id.in_(catalogue))


def known_exploited() -> sa.CompoundSelect[str]:
    """The ids of all CVEs of which `is_known_exploited` holds, and of those that only the catalogue has yet.

    The same rule as a set, for those who look for all of them: the rule on a row would have every row looked at.
    """
    recorded = sa.select(Vulnerability.cve_id).where(Vulnerability.kev_added.is_not(None))
    return recorded.union(sa.select(KnownExploited.cve_id))
