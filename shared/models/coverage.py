"""What the mirror has been proven to hold, and how far an unfinished reading of the upstream has come.

    sync --plans--> window --answered by--> pages       deleted once the window is proven
                      └── proven ──> proven_range, mirror_coverage.watermark

A page's row is written in the transaction of its records, so a kill costs the page at hand and nothing else.
"""

import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from shared.models.base import Base


class MirrorCoverage(Base):
    """One row, there from the first proof on: how complete the mirror is."""

    __tablename__ = "mirror_coverage"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    watermark: Mapped[dt.datetime | None]
    """Every change that the upstream dates before this is in the mirror. By the upstream's clock; never moves back."""
    upstream_total: Mapped[int | None]
    """Records that the upstream holds, as it said at `upstream_total_at` (its own clock)."""
    upstream_total_at: Mapped[dt.datetime | None]
    full_read_at: Mapped[dt.datetime | None]
    """When (upstream's clock) the last complete reading began that was proven."""
    stale_told_at: Mapped[dt.datetime | None]
    """When the admins were told that the mirror is stale; None once it is not any more."""


class ProvenRange(Base):
    """Everything last modified in this range was read: as many distinct ids as the upstream counted."""

    __tablename__ = "proven_range"

    id: Mapped[int] = mapped_column(primary_key=True)
    since: Mapped[dt.datetime | None]
    """None: from the beginning."""
    until: Mapped[dt.datetime]
    total: Mapped[int]
    source: Mapped[str]
    sync_id: Mapped[int] = mapped_column(sa.ForeignKey("sync.id"), index=True)
    proven_at: Mapped[dt.datetime]


class SyncWindow(Base):
    """A question to the API that is not answered in full yet: a `lastMod` window, or everything."""

    __tablename__ = "sync_window"

    id: Mapped[int] = mapped_column(primary_key=True)
    task_id: Mapped[uuid.UUID]
    """The task that planned it; another one may finish it."""
    since: Mapped[dt.datetime | None]
    """None, as `until`: everything."""
    until: Mapped[dt.datetime | None]
    passes: Mapped[int] = mapped_column(default=1)
    """How often it is being read: again when records moved between its pages."""


class SyncPage(Base):
    """A page of a window, stored."""

    __tablename__ = "sync_page"

    window_id: Mapped[int] = mapped_column(
        sa.ForeignKey("sync_window.id", ondelete="CASCADE"), primary_key=True
    )
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    """Of the pass that read it."""
    start: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    end: Mapped[int]
    total: Mapped[int]
    """What this answer said the window has."""
    timestamp: Mapped[dt.datetime]
    """The upstream's, in this answer."""
    keys: Mapped[bytes]
    """Of its records: their vulnerabilities' ids, packed."""


class FeedState(Base):
    """What was last seen of a feed of the upstream."""

    __tablename__ = "feed_state"

    name: Mapped[str] = mapped_column(primary_key=True)
    """A year, or `modified`."""
    known_as: Mapped[str]
    """SHA-256 of its uncompressed JSON, as in its `.meta`, and the version of the conversion."""
    total: Mapped[int]
    """Records in it, all of which the mirror has read."""
    written_at: Mapped[dt.datetime]
    """By the feed's own account."""
    imported_at: Mapped[dt.datetime]
    checked_at: Mapped[dt.datetime]
    """When its `.meta` was last seen to be this one."""
