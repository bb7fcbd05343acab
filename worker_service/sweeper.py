"""The sweeper: what must happen even if every message was lost and every worker died.

It runs every few seconds in each scheduler, without going through a queue. Every action is a compare-and-set on a row that
it holds, so any number of sweepers may run at once.
"""

import datetime as dt
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import redis
import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session, aliased

from shared import database, enrichment, schedules
from shared.database import Sessions
from shared.doorbell import ENOUGH
from shared.errors import Conflict, Invalid
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.lifecycle.mirror import tell_if_stale
from shared.lifecycle.timetable import Job, ask_due
from shared.models.enrichment import Source
from shared.models.idempotency import IdempotentAnswer
from shared.models.mirror import SnapshotCounter
from shared.models.scan import Scan, Trigger
from shared.models.task import ACTIVE, WAITING, Task, in_states
from shared.tasks import MIRROR, QUEUES, START_AFFECTED_SCANS, Asking, ask, ring_after_commit

log = structlog.get_logger(__name__)

UNANSWERED = dt.timedelta(seconds=5)
"""How long a due task may wait, its queue holding too few messages, before its own counts as lost."""
_FOLLOWING = "follow_the_mirror"
BATCH = 500
"""Rows per action and sweep; the rest waits for the next sweep."""
GROWTH = 4
"""So many times the pages that PostgreSQL knows of make the table of tasks worth counting anew."""
FEW_PAGES = 8
"""What is smaller counts as so large: reading all of it costs nothing."""
_GREW = sa.text(
    "SELECT pg_relation_size(oid) / current_setting('block_size')::int >= :growth * greatest(relpages, :few) "
    "FROM pg_class WHERE oid = 'task'::regclass"
).bindparams(growth=GROWTH, few=FEW_PAGES)


@dataclass(frozen=True)
class Sweeper:
    """Sweeps one database; `waiting` counts the messages that lie unfetched in a queue (redis.RedisError when away)."""

    sessions: Sessions
    waiting: Callable[[str], int]
    stale_after: dt.timedelta = dt.timedelta(hours=24)
    """Without news for longer than this the mirror is stale."""
    jobs: Sequence[Job] = ()
    """The timetable."""
    sources: tuple[Source, ...] = ()
    """Those that are switched on, beside the NVD: each is read once without waiting for its time."""

    def sweep(self) -> None:
        """Do everything once. Each action is a transaction of its own, so that one that fails stops no other."""
        for action in (end_overdue_cancels, expire_leases, start_due_scans, forget_ended, count_if_grown):
            self._do(action)
        self._do(ask_due, self.jobs)
        self._do(tell_if_stale, self.stale_after)
        self._do(follow_the_mirror)
        self._do(enrichment.ask_if_never_read, self.sources)
        for queue in QUEUES:
            try:
                waiting = self.waiting(queue)  # asked with no transaction open: Redis may take its time
            except redis.RedisError:
                break  # no bell to ring; the rows wait
            self._do(ring_again, queue, waiting)

    def _do(self, action: Callable[..., int], *arguments: object) -> None:
        try:
            with database.transaction(self.sessions) as session:
                done = action(session, *arguments)
        except Exception:
            log.exception("sweep_failed", action=action.__name__)
        else:
            if done:
                log.info("swept", action=action.__name__, rows=done)


def _hold(session: Session, query: sa.Select[Task]) -> Sequence[Task]:
    """Rows that nobody else holds at this moment."""
    query = query.order_by(Task.priority, Task.created_at).limit(BATCH).with_for_update(skip_locked=True)
    return session.scalars(query).all()


def _each(session: Session, tasks: Sequence[Task], transition: Callable[[Session, Task], None]) -> int:
    """Apply a transition to every row; one that cannot be changed holds up no other."""
    done = 0
    for task in tasks:
        try:
            with session.begin_nested():
                transition(session, task)
        except Exception:
            log.exception("task_not_swept", task_id=str(task.id))
        else:
            done += 1
    return done


def end_overdue_cancels(session: Session) -> int:
    """End tasks whose worker did not notice a cancel in time, or that nobody works on."""
    overdue = database.now(session) - task_lifecycle.CANCEL_GRACE
    query = sa.select(Task).where(Task.lease_until.is_not(None), Task.cancel_requested_at < overdue)
    return _each(session, _hold(session, query), task_lifecycle.revoke)


def expire_leases(session: Session) -> int:
    """Take tasks from workers that stopped answering."""
    query = sa.select(Task).where(Task.lease_until < database.now(session))
    tasks = _hold(session, query)
    for task in tasks:
        log.warning("lease_expired", task_id=str(task.id), worker=task.worker, losses=task.losses + 1)
    return _each(session, tasks, task_lifecycle.expire)


def ring_again(session: Session, queue: str, waiting: int) -> int:
    """Ring for due tasks of a queue that holds fewer messages than it has such tasks: some must be lost or were never sent.

    More messages than `ENOUGH` it never holds, however many tasks are due. Tasks that were rung for the longest time ago come
    first, so that each gets its turn in a queue that is never empty.
    """
    if waiting >= ENOUGH:
        return 0
    now = database.now(session)
    holder = aliased(Task)
    locked = sa.exists().where(holder.lock_key == Task.lock_key, in_states(holder.state, ACTIVE))
    due = (Task.queue == queue, in_states(Task.state, WAITING), Task.run_after <= now, ~locked)
    some_due = sa.select(Task.id).where(*due).limit(ENOUGH).subquery()
    lost = (session.scalar(sa.select(sa.func.count()).select_from(some_due)) or 0) - waiting
    if lost <= 0:
        return 0
    unanswered = sa.or_(
        Task.rung_at.is_(None), Task.rung_at < Task.run_after, Task.rung_at < now - UNANSWERED
    )
    query = sa.select(Task).where(*due, unanswered)
    query = query.order_by(Task.rung_at.asc().nulls_first(), Task.priority, Task.created_at)
    tasks = session.scalars(query.limit(lost).with_for_update(skip_locked=True, of=Task)).all()
    for task in tasks:
        ring_after_commit(session, task, now)
    return len(tasks)


def start_due_scans(session: Session) -> int:
    """Start scans whose schedule is due: once, however many times were missed, and never beside a run under way."""
    now = database.now(session)
    query = sa.select(Scan).where(Scan.next_run_at <= now).order_by(Scan.next_run_at).limit(BATCH)
    scans = session.scalars(query.with_for_update(skip_locked=True, key_share=True, of=Scan)).all()
    for scan in scans:
        try:
            scan.next_run_at = schedules.next_time(scan.cron or "", scan.timezone, now)
        except Invalid as error:  # a zone or an expression that this installation no longer knows
            scan.next_run_at = None
            log.error("schedule_unusable", scan_id=str(scan.id), errors=error.errors)
            continue
        try:
            run_lifecycle.start(session, scan, scan.created_by, trigger=Trigger.SCHEDULE)
        except Conflict as error:
            log.info("scheduled_run_skipped", scan_id=str(scan.id), reason=error.detail)
    return len(scans)


def follow_the_mirror(session: Session) -> int:
    """Have changes of the mirror carried on to the assets that they concern, once nobody writes into it.

    Many feeds imported one after the other are one piece of news; a sync that waits for its next attempt is not waited for.
    """
    behind = sa.select(SnapshotCounter.number).where(SnapshotCounter.number > SnapshotCounter.followed)
    if session.scalar(behind) is None:
        return 0
    now = database.now(session)
    reasons = (
        (Task.lock_key == MIRROR, in_states(Task.state, ACTIVE)),
        (Task.lock_key == MIRROR, in_states(Task.state, WAITING), Task.run_after <= now),
        (Task.dedupe_key == _FOLLOWING, Task.ended_at.is_(None)),
    )  # apart, each of them has an index
    if any(session.scalar(sa.select(Task.id).where(*reason).limit(1)) is not None for reason in reasons):
        return 0
    ask(session, START_AFFECTED_SCANS, Asking(dedupe_key=_FOLLOWING), asset_ids=None)
    return 1


def forget_ended(session: Session) -> int:
    """Remove tasks, and answers kept for Idempotency-Key, a day after their end."""
    before = database.now(session) - task_lifecycle.KEPT
    gone = session.scalars(sa.delete(Task).where(Task.ended_at < before).returning(Task.id)).all()
    session.execute(sa.delete(IdempotentAnswer).where(IdempotentAnswer.created_at < before))
    return len(gone)


def count_if_grown(session: Session) -> int:
    """Have PostgreSQL count the tasks when their table has grown to several times what it knows of; whether it did.

    By itself it does so once a minute. Until then workers go on with plans for a table of a page or two, which read all of it,
    however long it is now, to find one task.
    """
    if session.get_bind().dialect.name != "postgresql" or not session.scalar(_GREW):
        return 0
    session.execute(sa.text("ANALYZE (SKIP_LOCKED) task"))  # another scheduler may be counting already
    return int(not session.scalar(_GREW))  # not, either, when the table is not ours
