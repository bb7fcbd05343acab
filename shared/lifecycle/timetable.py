"""Asking for periodic jobs when they are due: the database says when, so that no tick is missed and none counts twice.

The row of a job holds the time when it is due next. Who finds that time passed moves it on and asks for the work, in one
transaction that holds the row: any number of schedulers may look, and after a downtime a job is asked for once.
"""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.models.periodic_job import PeriodicJob
from shared.schedules import next_time
from shared.tasks import CONTRACTS, Asking, ask


@dataclass(frozen=True)
class Job:
    """Work to ask for at the times of a cron expression (UTC); at most one job asks for one contract."""

    cron: str
    contract: str
    arguments: dict[str, Any]
    first_after: dt.timedelta | None = None
    """When it is new here, it is due after this long, if that is before its next time."""


def ask_due(session: Session, jobs: Sequence[Job]) -> int:
    """Ask for the jobs that are due; how many. One that is new here is due at its next time from now on, or sooner.

    One whose last asking has not ended is not asked for beside it. A row that another scheduler holds is left to it.
    """
    now = database.now(session)
    held = {
        row.name: row
        for row in session.scalars(
            sa.select(PeriodicJob)
            .where(PeriodicJob.name.in_([job.contract for job in jobs]))
            .where(sa.or_(PeriodicJob.next_run_at <= now, *(_differs(job) for job in jobs)))
            .order_by(PeriodicJob.name)
            .with_for_update(skip_locked=True)
        )
    }
    asked = 0
    for job in jobs:
        if (row := held.get(job.contract)) is None:
            continue
        if row.next_run_at <= now:
            ask(session, job.contract, Asking(dedupe_key=_dedupe_key(job)), **job.arguments)
            asked += 1
        row.cron, row.next_run_at = job.cron, _next(job, now)
    _begin(session, jobs, now)
    return asked


def _differs(job: Job) -> sa.ColumnElement[bool]:
    """Whether a row was worked out from another cron expression than the timetable has by now."""
    return sa.and_(PeriodicJob.name == job.contract, PeriodicJob.cron != job.cron)


def _begin(session: Session, jobs: Sequence[Job], now: dt.datetime) -> None:
    known = set(session.scalars(sa.select(PeriodicJob.name)))
    for job in jobs:
        if job.contract not in known:
            try:
                with session.begin_nested():
                    session.add(PeriodicJob(name=job.contract, cron=job.cron, next_run_at=_first(job, now)))
            except IntegrityError:  # another scheduler was faster
                continue


def _first(job: Job, now: dt.datetime) -> dt.datetime:
    regular = _next(job, now)
    return regular if job.first_after is None else min(now + job.first_after, regular)


def _next(job: Job, after: dt.datetime) -> dt.datetime:
    return next_time(job.cron, "UTC", after)


def _dedupe_key(job: Job) -> str:
    return CONTRACTS[job.contract].dedupe_key or f"periodic:{job.contract}"
