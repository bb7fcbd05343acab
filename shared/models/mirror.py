"""The mirror of the NVD: vulnerabilities, the criteria they use, and the history of how they got here.

The layout follows the question a scan asks ("which CVEs name this product in this version?"):

    component --(product key, version key)--> criterion --> criterion_use --> vulnerability.tree

A criterion (match string and range) is stored once however many configurations use it, and a vulnerability carries
its configurations as one small blob that refers to criteria by id. What is rarely read, the raw record, stands apart.
"""

import array
import datetime as dt
import enum
import re
import sys
import uuid
from collections.abc import Iterable
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from shared.models.base import Base, Document, enum_column
from shared.models.finding import Severity

if TYPE_CHECKING:
    from shared.models.enrichment import EpssScore, KnownExploited

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
"""A 64-bit key; on SQLite an INTEGER, so that a primary key of this type is the row id itself."""

CVE_ID = re.compile(r"CVE-\d{4}-\d{4,10}", re.ASCII)
"""A CVE id. The programme allows up to 19 digits; numbers beyond ten have no place in `vulnerability_id`."""

_NUMBER_BITS = 32


def vulnerability_id(cve_id: str) -> int | None:
    """The primary key of a CVE, made from its own id (year, then number), or None if that is not a CVE id.

    So a batch needs no read-back of generated keys, and the order of keys is the order of CVE ids.
    """
    if CVE_ID.fullmatch(cve_id) is None:
        return None
    year, digits = int(cve_id[4:8]), cve_id[9:]
    number = int(digits)
    if number >> _NUMBER_BITS or (len(digits) > 4 and digits[0] == "0"):
        return None
    return year << _NUMBER_BITS | number


def cve_id_of(key: int) -> str:
    """The CVE id whose `vulnerability_id` this is."""
    return f"CVE-{key >> _NUMBER_BITS:04}-{key & ((1 << _NUMBER_BITS) - 1):04}"


class SyncKind(enum.StrEnum):
    """Where a sync takes its records from."""

    FEED = "feed"
    """One feed file."""
    BOOTSTRAP = "bootstrap"
    """Everything, for the first time."""
    UPDATE = "update"
    """What changed since the last time."""
    FULL = "full"
    """Everything, once more, and compared."""


class SyncState(enum.StrEnum):
    """How a sync stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    """Ended before its end; what it committed until then stays and is consistent. `error` says why."""
    CANCELLED = "cancelled"


class ChangeKind(enum.StrEnum):
    """What happened to a vulnerability in a snapshot."""

    ADDED = "added"
    CHANGED = "changed"
    REJECTED = "rejected"
    """It was not rejected before and is now; from here on it matches nothing."""


_IN_KEV = sa.text("kev_added IS NOT NULL")


class Vulnerability(Base):
    """One CVE record: what lists, filters, findings and the matcher need. The small columns come first on purpose."""

    __tablename__ = "vulnerability"
    __table_args__ = (
        sa.Index("ix_vulnerability_kev_added", "kev_added", sqlite_where=_IN_KEV, postgresql_where=_IN_KEV),
    )

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    """See `vulnerability_id`."""
    cve_id: Mapped[str] = mapped_column(unique=True)
    year: Mapped[int] = mapped_column(sa.SmallInteger)
    """The year in the CVE id (the yearly feed of 2002 holds the years before as well)."""
    status: Mapped[str]
    """`vulnStatus` as the NVD writes it, unknown values included."""
    rejected: Mapped[bool]
    """The CVE was withdrawn: kept, and matches nothing."""
    analysed: Mapped[bool]
    """The NVD has assigned configurations. If false, the absence of a match says nothing."""
    published: Mapped[dt.datetime] = mapped_column(index=True)
    last_modified: Mapped[dt.datetime] = mapped_column(index=True)
    severity: Mapped[Severity] = mapped_column(enum_column(Severity))
    """Of the chosen CVSS assessment: the newest CVSS version, the Primary source first."""
    score: Mapped[float | None]
    cvss_version: Mapped[str | None]
    cvss_vector: Mapped[str | None]
    kev_added: Mapped[dt.date | None]
    """When CISA added it to the catalogue of known exploited vulnerabilities, as the record has it.

    The record is not alone: `shared.models.enrichment.is_known_exploited`.
    """
    kev_due: Mapped[dt.date | None]
    kev_name: Mapped[str | None]
    kev_action: Mapped[str | None]
    has_affected: Mapped[bool]
    """The record carries the CNA's own list of affected products (`affected`)."""
    snapshot: Mapped[int]
    """The snapshot in which it last changed."""
    digest: Mapped[bytes]
    """Of the record without insignificant white space: tells an unchanged record before it is parsed."""
    tree: Mapped[bytes | None]
    """The configurations, encoded by `shared.matching.configurations`; None when there are none."""
    description: Mapped[str] = mapped_column(sa.Text)
    """In English."""
    listed: Mapped["KnownExploited | None"] = relationship(
        primaryjoin="foreign(KnownExploited.cve_id) == Vulnerability.cve_id", viewonly=True, uselist=False
    )
    """CISA's own entry."""

    @property
    def exploited_since(self) -> dt.date | None:
        """When CISA listed it: by its own entry, else by the record."""
        return self.listed.added if self.listed is not None else self.kev_added

    epss: Mapped["EpssScore | None"] = relationship(
        primaryjoin="foreign(EpssScore.vulnerability_id) == Vulnerability.id", viewonly=True, uselist=False
    )


class VulnerabilityRecord(Base):
    """The record as the NVD gave it (JSON without insignificant white space), compressed with Zstandard."""

    __tablename__ = "vulnerability_record"

    vulnerability_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    record: Mapped[bytes]


class Criterion(Base):
    """One CPE match string with its version range, once in the mirror.

    Rows are written once and never changed, since the id is made from the content. They may outlive their last use: a
    range that the NVD takes back often returns with the next revision, and change records go on naming it.
    """

    __tablename__ = "criterion"
    __table_args__ = (sa.Index("ix_criterion_product_key_version_key", "product_key", "version_key"),)

    id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    criteria: Mapped[str]
    version_start_including: Mapped[str | None]
    version_start_excluding: Mapped[str | None]
    version_end_including: Mapped[str | None]
    version_end_excluding: Mapped[str | None]
    match_criteria_id: Mapped[str | None]
    product_key: Mapped[str]
    version_key: Mapped[str]
    """Found by equality; '' means that versions must be compared (a range, a wildcard, any version)."""


class CriterionUse(Base):
    """A vulnerability uses a criterion.

    Written and removed only together with the vulnerability's tree, 1.4 million rows at a time, hence without foreign
    keys (on PostgreSQL their triggers would cost more than the rows).
    """

    __tablename__ = "criterion_use"
    __table_args__ = ({"sqlite_with_rowid": False},)

    criterion_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    vulnerability_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    vulnerable: Mapped[bool]
    """False when the configurations name it only as a platform, which alone affects nobody."""


class VulnerabilityCwe(Base):
    """A vulnerability is an instance of a weakness (`CWE-79`, `NVD-CWE-noinfo`)."""

    __tablename__ = "vulnerability_cwe"
    __table_args__ = ({"sqlite_with_rowid": False},)

    vulnerability_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    cwe: Mapped[str] = mapped_column(primary_key=True, index=True)


class Sync(Base):
    """One run of mirroring. The counts are those of its committed batches."""

    __tablename__ = "sync"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[SyncKind] = mapped_column(enum_column(SyncKind))
    source: Mapped[str]
    """A file's name or an address, for people."""
    state: Mapped[SyncState] = mapped_column(enum_column(SyncState), default=SyncState.RUNNING)
    task_id: Mapped[uuid.UUID | None] = mapped_column(index=True)
    """The task that does it; no foreign key, since the sync outlives the task's row."""
    started_at: Mapped[dt.datetime]
    finished_at: Mapped[dt.datetime | None]
    read: Mapped[int] = mapped_column(default=0)
    changed: Mapped[int] = mapped_column(default=0)
    """Added, changed or rejected."""
    unchanged: Mapped[int] = mapped_column(default=0)
    quarantined: Mapped[int] = mapped_column(default=0)
    upstream_total: Mapped[int | None]
    """What the source says it holds (`totalResults`)."""
    upstream_timestamp: Mapped[dt.datetime | None]
    """The source's own time stamp."""
    error: Mapped[str | None]
    """Why it did not complete, or why its last attempt did not, in plain words."""
    substitute: Mapped[str | None]
    """What it had to do without and used instead, though it completed."""
    troubles: Mapped[Document | None]
    """What went wrong on the way and was overcome, in plain words, with how often."""


class SnapshotCounter(Base):
    """One row: the number of the last committed snapshot.

    A batch locks it before it reads and raises it in its own transaction, so that numbers are strictly increasing
    without gaps and batches of several importers apply one after the other.
    """

    __tablename__ = "snapshot_counter"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    number: Mapped[int]
    followed: Mapped[int] = mapped_column(server_default="0")
    """The last snapshot whose changes were carried on to the assets that they concern."""


class Snapshot(Base):
    """One committed batch that changed something."""

    __tablename__ = "snapshot"

    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    sync_id: Mapped[int] = mapped_column(sa.ForeignKey("sync.id"), index=True)
    committed_at: Mapped[dt.datetime]
    changed: Mapped[int]
    """How many vulnerabilities really changed."""


class MirrorChange(Base):
    """A vulnerability really changed in a snapshot: what everything downstream is driven by.

    `old_criteria` and `new_criteria` are ids of criteria, packed by `pack_ids`; see `unpack_ids`.
    """

    __tablename__ = "mirror_change"
    __table_args__ = ({"sqlite_with_rowid": False},)

    snapshot: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    vulnerability_id: Mapped[int] = mapped_column(Id, primary_key=True, autoincrement=False)
    kind: Mapped[ChangeKind] = mapped_column(enum_column(ChangeKind))
    old_criteria: Mapped[bytes]
    new_criteria: Mapped[bytes]


class Quarantine(Base):
    """A record that could not be used, kept as it came. It leaves when a usable one takes its place."""

    __tablename__ = "quarantine"

    key: Mapped[str] = mapped_column(primary_key=True)
    """The CVE id, or `sha256:...` of the record when it does not even have one."""
    cve_id: Mapped[str | None]
    source: Mapped[str]
    position: Mapped[int]
    """The record's place in its source, counted from 0."""
    reason: Mapped[str]
    digest: Mapped[bytes]
    record: Mapped[bytes]
    """Compressed with Zstandard."""
    sync_id: Mapped[int] = mapped_column(sa.ForeignKey("sync.id"), index=True)
    """The sync that saw it last."""
    snapshot: Mapped[int]
    """The mirror's snapshot when it was first seen like this."""
    first_seen_at: Mapped[dt.datetime]


class FeedCheckpoint(Base):
    """How far a feed file, known by its content, has been imported: a killed import goes on from here."""

    __tablename__ = "feed_checkpoint"

    digest: Mapped[str] = mapped_column(primary_key=True)
    """SHA-256 of the file as it lies on the disk, and the version of the conversion."""
    name: Mapped[str]
    position: Mapped[int]
    """Records committed so far, quarantined ones included."""
    updated_at: Mapped[dt.datetime]
    completed_at: Mapped[dt.datetime | None]


def pack_ids(ids: Iterable[int]) -> bytes:
    """Ids, sorted, as little-endian 64-bit integers."""
    packed = array.array("q", sorted(ids))
    if sys.byteorder == "big":
        packed.byteswap()
    return packed.tobytes()


def unpack_ids(packed: bytes) -> list[int]:
    """What `pack_ids` packed."""
    ids = array.array("q", packed)
    if sys.byteorder == "big":
        ids.byteswap()
    return ids.tolist()
