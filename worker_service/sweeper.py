"""The sweeper: what must happen even if every message was lost and every worker died.

It runs every few seconds in each scheduler, without going through a queue. Every action is a compare-and-set on a row that
it holds, so any number of sweepers may run at once.
"""

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

import redis
import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from shared import database, schedules
from shared.database import Sessions
from shared.errors import Conflict
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.models.idempotency import IdempotentAnswer
from shared.models.scan import Scan
from shared.models.task import ACTIVE, WAITING, Task
from shared.tasks import QUEUES, ring_after_commit

log = structlog.get_logger(__name__)

UNANSWERED = dt.timedelta(seconds=5)
"""How long a due task may wait, its queue being empty, before its message counts as lost."""
BATCH = 500
"""Rows per action and sweep; the rest waits for the next sweep."""


@dataclass(frozen=True)
class Sweeper:
    """Sweeps one database; `waiting` counts the messages that lie unfetched in a queue (redis.RedisError when away)."""

    sessions: Sessions
    waiting: Callable[[str], int]

    def sweep(self) -> None:
        """Do everything once. Each action is a transaction of its own, so that one that fails stops no other."""
        for action in (end_overdue_cancels, expire_leases, start_due_scans, self._ring_again, forget_ended):
            try:
                with database.transaction(self.sessions) as session:
                    done = action(session)
            except Exception:
                log.exception("sweep_failed", action=action.__name__)
            else:
                if done:
                    log.info("swept", action=action.__name__.strip("_"), rows=done)

    def _ring_again(self, session: Session) -> int:
        rung = 0
        for queue in QUEUES:
            try:
                if self.waiting(queue) == 0:
                    rung += ring_again(session, queue)
            except redis.RedisError:
                break  # no bell to ring; the rows wait
        return rung


def _hold(query: sa.Select[tuple[Task]]) -> sa.Select[tuple[Task]]:
    """Rows that no other sweeper holds at this moment."""
    return query.order_by(Task.priority, Task.created_at).limit(BATCH).with_for_update(skip_locked=True)


def end_overdue_cancels(session: Session) -> int:
    """End tasks whose worker did not notice a cancel in time, or that nobody works on."""
    overdue = database.now(session) - task_lifecycle.CANCEL_GRACE
    query = sa.select(Task).where(Task.state.in_(ACTIVE), Task.cancel_requested_at < overdue)
    rows = session.scalars(_hold(query)).all()
    for task in rows:
        task_lifecycle.revoke(session, task)
    return len(rows)


def expire_leases(session: Session) -> int:
    """Take tasks from workers that stopped answering."""
    query = sa.select(Task).where(Task.state.in_(ACTIVE), Task.lease_until < database.now(session))
    rows = session.scalars(_hold(query)).all()
    for task in rows:
        log.warning("lease_expired", task_id=str(task.id), worker=task.worker, losses=task.losses + 1)
        task_lifecycle.expire(session, task)
    return len(rows)


def ring_again(session: Session, queue: str) -> int:
    """Ring for due tasks of a queue that holds no message, whose own must therefore be lost or was never sent."""
    now = database.now(session)
    stale = now - UNANSWERED
    query = sa.select(Task).where(
        Task.queue == queue,
        Task.state.in_(WAITING),
        Task.run_after <= now,
        sa.or_(Task.rung_at.is_(None), Task.rung_at < Task.run_after, Task.rung_at < stale),
    )
    rows = session.scalars(_hold(query)).all()
    for task in rows:
        task.rung_at = now
        ring_after_commit(session, task)
    return len(rows)


def start_due_scans(session: Session) -> int:
    """Start scans whose schedule is due: once, however many times were missed, and never beside a run under way."""
    now = database.now(session)
    query = sa.select(Scan).where(Scan.next_run_at <= now).order_by(Scan.next_run_at).limit(BATCH)
    scans = session.scalars(query.with_for_update(skip_locked=True, of=Scan)).all()
    for scan in scans:
        assert scan.cron is not None  # noqa: S101  # next_run_at stands only beside a schedule
        scan.next_run_at = schedules.next_time(scan.cron, scan.timezone, now)
        try:
            run_lifecycle.start(session, scan, scan.created_by, trigger="schedule")
        except Conflict as error:
            log.info("scheduled_run_skipped", scan_id=str(scan.id), reason=error.detail)
    return len(scans)


def forget_ended(session: Session) -> int:
    """Remove tasks, and answers kept for Idempotency-Key, a day after their end."""
    before = database.now(session) - task_lifecycle.KEPT
    gone = session.scalars(sa.delete(Task).where(Task.ended_at < before).returning(Task.id)).all()
    session.execute(sa.delete(IdempotentAnswer).where(IdempotentAnswer.created_at < before))
    return len(gone)
