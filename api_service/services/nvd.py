"""How complete and how fresh the mirror is."""

import datetime as dt
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from shared import database, mirror
from shared.models.mirror import Criterion, Quarantine, Sync, SyncState, Vulnerability
from shared.models.task import Task

ATTRIBUTION = "This product uses the NVD API but is not endorsed or certified by the NVD."
"""The NVD's terms of use want it shown."""
FRESH = dt.timedelta(hours=24)
"""The NVD changes records every few hours: a newest record older than this means that something was missed."""


@dataclass(frozen=True)
class Year:
    """How many vulnerabilities have an id of this year."""

    year: int
    count: int


@dataclass(frozen=True)
class Status:
    """The state of the mirror at one moment."""

    state: str
    """`empty`; `bootstrapping` while a sync runs and none has ever completed; otherwise `fresh` or `stale` by the age of
    the newest record."""
    snapshot: int
    vulnerabilities: int
    analysed: int
    unanalysed: int
    rejected: int
    quarantined: int
    criteria: int
    newest_record_at: dt.datetime | None
    age_seconds: float | None
    years: list[Year]
    last_sync: Sync | None
    running: bool
    attribution: str = ATTRIBUTION


def mirror_status(session: Session) -> Status:
    """How the mirror stands. In a reading transaction, so that all numbers are of one snapshot."""
    by_year = session.execute(
        sa.select(
            Vulnerability.year,
            sa.func.count().label("all"),
            _count_if(Vulnerability.rejected).label("rejected"),
            _count_if(Vulnerability.analysed).label("analysed"),
        )
        .group_by(Vulnerability.year)
        .order_by(Vulnerability.year)
    ).all()
    total, rejected, analysed = (sum(row[index] for row in by_year) for index in (1, 2, 3))
    newest = session.scalar(sa.select(sa.func.max(Vulnerability.last_modified)))
    age = None if newest is None else database.now(session) - newest
    running = _is_running(session)
    return Status(
        state=_state(session, age, running=running),
        snapshot=mirror.snapshot(session),
        vulnerabilities=total,
        analysed=analysed,
        unanalysed=total - analysed - rejected,
        rejected=rejected,
        quarantined=_count(session, Quarantine),
        criteria=_count(session, Criterion),
        newest_record_at=newest,
        age_seconds=None if age is None else max(0.0, age.total_seconds()),
        years=[Year(row[0], row[1]) for row in by_year],
        last_sync=session.scalar(sa.select(Sync).order_by(Sync.id.desc()).limit(1)),
        running=running,
    )


def list_syncs(session: Session, *, page: PageRequest) -> Page[Sync]:
    """Syncs, the latest first."""
    return fetch(session, sa.select(Sync).order_by(Sync.id.desc()), page)


def _state(session: Session, age: dt.timedelta | None, *, running: bool) -> str:
    completed = sa.select(Sync.id).where(Sync.state == SyncState.COMPLETED).limit(1)
    if running and session.scalar(completed) is None:
        return "bootstrapping"
    if age is None:
        return "empty"
    return "fresh" if age <= FRESH else "stale"


def _is_running(session: Session) -> bool:
    """Whether a sync is under way: its task has not ended (a killed one leaves its row as it was)."""
    open_task = sa.exists().where(Task.id == Sync.task_id, Task.ended_at.is_(None))
    under_way = sa.select(Sync.id).where(Sync.state == SyncState.RUNNING, open_task).limit(1)
    return session.scalar(under_way) is not None


def _count_if(condition: sa.ColumnElement[bool] | sa.orm.InstrumentedAttribute[bool]) -> sa.Function[int]:
    return sa.func.count(sa.case((condition, 1)))


def _count(session: Session, table: type[Quarantine] | type[Criterion]) -> int:
    return session.scalar(sa.select(sa.func.count()).select_from(table)) or 0
