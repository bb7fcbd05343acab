"""How complete and how fresh the mirror is, and asking for a sync."""

import datetime as dt
import uuid
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from shared import database, enrichment, mirror, mirror_health
from shared.enrichment import SourceHealth
from shared.errors import Conflict, NotFound
from shared.mirror_health import Health, MirrorState
from shared.models.coverage import FeedState
from shared.models.enrichment import Source
from shared.models.mirror import Criterion, Quarantine, Sync, Vulnerability
from shared.models.periodic_job import PeriodicJob
from shared.models.task import Task
from shared.settings import Settings
from shared.tasks import SYNC_NVD_UPDATES, Asking, ask

ATTRIBUTION = "This product uses the NVD API but is not endorsed or certified by the NVD."
"""The NVD's terms of use want it shown."""
SHOWN = 100
"""Records in quarantine that the status names."""
FIRST_FEED = 2002
"""The feed of this year holds the years before as well."""
MANUAL_PRIORITY = 40


@dataclass(frozen=True)
class Year:
    """How many vulnerabilities have an id of this year, beside what the upstream's feed of the year had."""

    year: int
    count: int
    upstream: int | None
    """None: no feed of the year was read."""
    upstream_at: dt.datetime | None
    missing: int | None


@dataclass(frozen=True)
class Progress:
    """How far the sync under way is."""

    task_id: uuid.UUID
    stage: str | None
    current: int | None
    total: int | None
    percent: int | None
    eta_seconds: float | None
    """At the pace so far; of the present stage."""


@dataclass(frozen=True)
class Status:
    """The state of the mirror at one moment."""

    state: MirrorState
    reasons: list[str]
    snapshot: int
    vulnerabilities: int
    analysed: int
    unanalysed: int
    rejected: int
    quarantined: int
    quarantine: list[Quarantine]
    criteria: int
    newest_record_at: dt.datetime | None
    age_seconds: float | None
    complete_until: dt.datetime | None
    upstream_total: int | None
    upstream_total_at: dt.datetime | None
    years: list[Year]
    last_sync: Sync | None
    last_success_at: dt.datetime | None
    last_error: str | None
    next_sync_at: dt.datetime | None
    """By the timetable; None where the NVD is not to be asked, and before a scheduler has run."""
    running: bool
    progress: Progress | None
    kev: SourceHealth
    epss: SourceHealth
    attribution: str = ATTRIBUTION


def mirror_status(session: Session, settings: Settings) -> Status:
    """How the mirror stands. In a reading transaction, so that all numbers are of one snapshot."""
    health = mirror_health.look(session, settings.mirror_stale_after)
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
    newest, coverage = health.newest_record_at, health.coverage
    return Status(
        state=health.state,
        reasons=health.reasons,
        snapshot=mirror.snapshot(session),
        vulnerabilities=total,
        analysed=analysed,
        unanalysed=total - analysed - rejected,
        rejected=rejected,
        quarantined=health.quarantined,
        quarantine=list(session.scalars(sa.select(Quarantine).order_by(Quarantine.key).limit(SHOWN))),
        criteria=session.scalar(sa.select(sa.func.count()).select_from(Criterion)) or 0,
        newest_record_at=newest,
        age_seconds=None if newest is None else max(0.0, (database.now(session) - newest).total_seconds()),
        complete_until=coverage.watermark if coverage else None,
        upstream_total=coverage.upstream_total if coverage else None,
        upstream_total_at=coverage.upstream_total_at if coverage else None,
        years=_years(session, {row[0]: row[1] for row in by_year}),
        last_sync=health.last,
        last_success_at=health.last_success.finished_at if health.last_success else None,
        last_error=_last_error(session),
        next_sync_at=_next_sync(session) if settings.asks_nvd else None,
        running=health.running is not None,
        progress=_progress(session, health),
        kev=_source(session, settings, Source.KEV),
        epss=_source(session, settings, Source.EPSS),
    )


def list_syncs(session: Session, *, page: PageRequest) -> Page[Sync]:
    """Syncs, the latest first."""
    return fetch(session, sa.select(Sync).order_by(Sync.id.desc()), page)


def start_sync(session: Session, days_back: int, full: bool, asked_by: uuid.UUID) -> Task:
    """Ask for a sync; the one that waits or is under way already if there is one."""
    how = Asking(priority=MANUAL_PRIORITY, asked_by=asked_by)
    task_id = ask(session, SYNC_NVD_UPDATES, how, days_back=days_back, full=full)
    return session.get_one(Task, task_id)


def start_source_sync(session: Session, settings: Settings, name: str, asked_by: uuid.UUID) -> Task:
    """Ask for a source beside the NVD to be read. Raises NotFound when there is none of this name, Conflict when it is off."""
    if name not in list(Source):
        raise NotFound("There is no such source: there are `kev` and `epss`.")
    source = Source(name)
    if enrichment.address(settings, source) is None:
        raise Conflict(f"{source.upper()}_URL is `off`: this installation does not ask for it.")
    return enrichment.ask_for(session, source, asked_by)


def _source(session: Session, settings: Settings, source: Source) -> SourceHealth:
    return enrichment.look(session, source, asked=enrichment.address(settings, source) is not None)


def _years(session: Session, counts: dict[int, int]) -> list[Year]:
    """Every year that the mirror or a feed has; the first feed's total is that of all years up to it."""
    feeds = {int(feed.name): feed for feed in session.scalars(sa.select(FeedState)) if feed.name.isdecimal()}
    apart = mirror_health.quarantined_by_year(session)
    years = []
    for year in sorted(counts.keys() | {year for year, feed in feeds.items() if feed.total}):
        feed = feeds.get(year)
        covers = [other for other in counts if other == year or (year == FIRST_FEED and other < year)]
        held = sum(counts[other] for other in covers) + sum(apart[other] for other in {*covers, year})
        missing = None if feed is None else max(0, feed.total - held)
        years.append(
            Year(
                year,
                counts.get(year, 0),
                feed.total if feed else None,
                feed.written_at if feed else None,
                missing,
            )
        )
    return years


def _last_error(session: Session) -> str | None:
    """Why the last sync that had an error had it."""
    query = sa.select(Sync.error).where(Sync.error.is_not(None)).order_by(Sync.id.desc()).limit(1)
    return session.scalar(query)


def _next_sync(session: Session) -> dt.datetime | None:
    return session.scalar(sa.select(PeriodicJob.next_run_at).where(PeriodicJob.name == SYNC_NVD_UPDATES))


def _progress(session: Session, health: Health) -> Progress | None:
    task = session.get(Task, health.running.task_id) if health.running else None
    if task is None:
        return None
    eta = None
    if task.started_at is not None and task.current and task.total:
        spent = (database.now(session) - task.started_at).total_seconds()
        eta = round(max(0.0, spent * (task.total - task.current) / task.current), 1)
    return Progress(task.id, task.stage, task.current, task.total, task.percent, eta)


def _count_if(condition: sa.ColumnElement[bool] | sa.orm.InstrumentedAttribute[bool]) -> sa.Function[int]:
    return sa.func.count(sa.case((condition, 1)))
