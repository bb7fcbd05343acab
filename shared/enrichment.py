"""The sources beside the NVD, CISA's catalogue and FIRST's scores: how each stands, and asking for it to be read."""

import datetime as dt
import enum
import uuid
from collections.abc import Collection
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.base import Document
from shared.models.enrichment import EnrichmentSource, Source
from shared.models.task import Task
from shared.settings import OFF, Settings
from shared.tasks import SYNC_EPSS, SYNC_KEV, Asking, ask

READ_EVERY = dt.timedelta(days=2)
"""A source that was not read for longer is stale: it is read daily, and may fail once."""
RENEWED_EVERY = {Source.KEV: dt.timedelta(days=30), Source.EPSS: dt.timedelta(days=7)}
"""A source whose own time stamp is older is stale: CISA adds to its catalogue weekly, FIRST scores daily."""
MANUAL_PRIORITY = 40
CONTRACTS = {Source.KEV: SYNC_KEV, Source.EPSS: SYNC_EPSS}


class SourceState(enum.StrEnum):
    """How a source stands."""

    NEVER = "never"
    """It was never read."""
    FRESH = "fresh"
    STALE = "stale"
    """It was not read lately, or has not been renewed by those who publish it."""
    OFF = "off"
    """It is not to be asked; what is held of it stays."""


@dataclass(frozen=True)
class SourceHealth:
    """The judgement on a source, and what it is made of."""

    state: SourceState
    reason: str | None
    """Why it is `stale`."""
    version: str | None = None
    released_at: dt.datetime | None = None
    count: int = 0
    skipped: Document = field(default_factory=dict)
    last_attempt_at: dt.datetime | None = None
    last_success_at: dt.datetime | None = None
    last_error: str | None = None


def address(settings: Settings, source: Source) -> str | None:
    """Where the source is asked for; None when it is switched off."""
    url = {Source.KEV: settings.kev_url, Source.EPSS: settings.epss_url}[source]
    return None if url == OFF else url


def switched_on(settings: Settings) -> tuple[Source, ...]:
    """The sources that are to be asked."""
    return tuple(source for source in Source if address(settings, source) is not None)


def look(session: Session, source: Source, *, asked: bool) -> SourceHealth:
    """Judge a source as it is now; `asked` is whether it is switched on."""
    row = session.get(EnrichmentSource, source)
    reason = _old(database.now(session), row) if row is not None else None
    if not asked:
        state, reason = SourceState.OFF, None
    elif row is None or row.last_success_at is None:
        state = SourceState.NEVER
    else:
        state = SourceState.STALE if reason else SourceState.FRESH
    if row is None:
        return SourceHealth(state, reason)
    return SourceHealth(
        state,
        reason,
        row.version,
        row.released_at,
        row.count,
        row.skipped,
        row.last_attempt_at,
        row.last_success_at,
        row.last_error,
    )


def ask_for(session: Session, source: Source, asked_by: uuid.UUID) -> Task:
    """Ask for a source to be read; the task that waits or is under way already if there is one."""
    task_id = ask(session, CONTRACTS[source], Asking(priority=MANUAL_PRIORITY, asked_by=asked_by))
    return session.get_one(Task, task_id)


def ask_if_never_read(session: Session, sources: Collection[Source]) -> int:
    """Ask for each of the sources that nobody has tried to read yet: a first start does not wait for the timetable.

    Gives how many were asked for. One whose first attempts failed is asked for again at its time.
    """
    if not sources:
        return 0
    tried = set(session.scalars(sa.select(EnrichmentSource.name)))
    waiting = sa.select(Task.name).where(Task.name.in_(CONTRACTS.values()), Task.ended_at.is_(None))
    asked = set(session.scalars(waiting))
    missing = [each for each in sources if each not in tried and CONTRACTS[each] not in asked]
    for source in missing:
        ask(session, CONTRACTS[source])
    return len(missing)


def _old(now: dt.datetime, row: EnrichmentSource) -> str | None:
    if row.last_success_at is None:
        return None
    if now - row.last_success_at > READ_EVERY:
        return f"It was last read {_days(now - row.last_success_at)} ago."
    if row.released_at is not None and now - row.released_at > RENEWED_EVERY[row.name]:
        return f"Those who publish it have not renewed it for {_days(now - row.released_at)}."
    return None


def _days(span: dt.timedelta) -> str:
    return f"{span.days} days"
