"""The transitions of a task. Every one is a compare-and-set on its row, so that of two who try only one succeeds.

    PENDING ── claim ──> STARTED ── report ──> PROGRESS ── succeed ──> SUCCESS
       ^                    │                      │
       │<── expire, crash, reap, hand back ────────┤── fail ─────────> FAILURE ── requeue ──> PENDING
       │                                           └── retry ──> RETRY ── claim ──> STARTED
    any state that has not ended ── revoke ──> REVOKED

Whatever else hangs on a task changes in the same transaction: see `follow`. All times are the database's.
"""

import datetime as dt
import random
import uuid
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Cancelled, Conflict, LeaseLost
from shared.lifecycle import dispatch, run, sync
from shared.models.base import Document
from shared.models.task import ACTIVE, WAITING, Task, TaskState, in_states
from shared.tasks import DELIVER_NOTIFICATION, EXECUTE_VULNERABILITY_SCAN, MIRROR, ring_after_commit

_TABLE = Task.metadata.tables[Task.__tablename__]

MAX_ATTEMPTS = 4
"""The first attempt and three retries."""
SUSPECT_CRASHES = 2
"""After so many crashes a task is a suspect: it is worked on in a process of its own, and the crash of that is the end."""
MAX_LOSSES = 10
"""How often a task may lose who works on it: workers that vanish as a whole say little about what they did."""
FREE_LOSSES = 5
"""So many workers that vanished are made good for without a wait but for the lease."""
MAX_LOSS_BACKOFF_SECONDS = 20.0
HISTORY = 20
"""Entries of a task's history that are kept."""
FIRST_BACKOFF_SECONDS = 5.0
MAX_BACKOFF_SECONDS = 300.0
CANCEL_GRACE = dt.timedelta(seconds=20)
"""How long a worker may take to notice a cancel before the sweeper ends the task over its head."""
KEPT = dt.timedelta(hours=24)
"""How long a task and its result are kept after their end."""


def backoff(attempt: int) -> float:
    """Seconds to wait after failed attempt number `attempt` (from 1)."""
    return _growing(FIRST_BACKOFF_SECONDS, attempt, MAX_BACKOFF_SECONDS)


def crash_backoff(crashes: int) -> float:
    """Seconds until a task starts again after so many crashes (from 1), of which is told at once."""
    return _growing(3.0, crashes, MAX_LOSS_BACKOFF_SECONDS)


def loss_backoff(losses: int) -> float:
    """Seconds until a task starts again whose lease ran out, which was a wait already, after so many losses in all."""
    return 0.0 if losses <= FREE_LOSSES else _growing(4.0, losses - FREE_LOSSES, MAX_LOSS_BACKOFF_SECONDS)


def _growing(first: float, number: int, most: float) -> float:
    """The wait of this number, from 1: exponential, with full jitter on its upper half."""
    ceiling = min(most, first * 4.0 ** (number - 1))
    return ceiling / 2 + random.uniform(0, ceiling / 2)  # noqa: S311  # spreading load, no secret


def claim(session: Session, task_id: uuid.UUID, worker: str, lease: dt.timedelta) -> Task | None:
    """Take this due task for `worker`; None when it is not there to claim (done, taken, revoked, not due, locked)."""
    now = database.now(session)
    due = (Task.id == task_id, in_states(Task.state, WAITING), Task.run_after <= now)
    values = {
        "state": TaskState.STARTED,
        "attempt": Task.attempt + 1,
        "epoch": Task.epoch + 1,
        "worker": worker,
        "lease_until": now + lease,
        "started_at": now,
        **dict.fromkeys(("stage", "current", "total")),
    }
    task = _compare_and_set(session, (*due, Task.lock_key.is_(None)), **values)
    if task is None:  # most need no lock, and so no savepoint
        try:
            with session.begin_nested():
                task = _compare_and_set(session, (*due, Task.lock_key.is_not(None)), **values)
        except IntegrityError:  # uq_task_lock_key: who holds the lock rings for this one when it lets go
            return None
    if task is not None:
        follow(session, task)
    return task


def renew(
    session: Session, holds: Sequence[tuple[uuid.UUID, int]], lease: dt.timedelta
) -> Sequence[uuid.UUID]:
    """Keep leases alive, each a task and its epoch; those that were.

    What is missing is lost, or its row is held at this moment, mostly by whoever writes in the task's name: one that waited for
    it would let all the others run out.
    """
    if not holds:
        return []
    free = (
        sa.select(Task.id)
        .where(sa.or_(*(sa.and_(Task.id == task_id, Task.epoch == epoch) for task_id, epoch in holds)))
        .where(Task.state.in_(ACTIVE))
        .with_for_update(skip_locked=True)
    )
    return session.scalars(
        sa.update(Task)
        .where(Task.id.in_(free))
        .values(lease_until=database.Clock(sa.literal(lease.total_seconds(), sa.Float())))
        .returning(Task.id)
        .execution_options(synchronize_session=False)
    ).all()


def look(session: Session, task_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Any]:
    """The `epoch` and `cancel_requested_at` of tasks, by their ids."""
    query = sa.select(Task.id, Task.epoch, Task.cancel_requested_at).where(Task.id.in_(task_ids))
    return {row.id: row for row in session.execute(query).all()}


def report(
    session: Session, task_id: uuid.UUID, epoch: int, stage: str, current: int, total: int | None
) -> bool:
    """Say how far the task is; False when the lease is lost."""
    held = _compare_and_set(
        session, _held(task_id, epoch), state=TaskState.PROGRESS, stage=stage, current=current, total=total
    )
    return held is not None


class Guarded(NamedTuple):
    """A held task in whose name this transaction writes."""

    id: uuid.UUID
    name: str
    lock_key: str | None


def guard(session: Session, task_id: uuid.UUID, epoch: int) -> Guarded:
    """Let this transaction write in the task's name: it commits only if the lease is still held when it does.

    Locks the row, so that no sweeper can take the task away in between. Raises LeaseLost, or Cancelled when a cancel was
    asked for.
    """
    row = session.execute(_GUARD, {"task_id": task_id}).one_or_none()
    if row is None or row.epoch != epoch or row.state not in ACTIVE:
        raise LeaseLost(f"task {task_id} is no longer held under epoch {epoch}")
    if row.cancel_requested_at is not None:
        raise Cancelled(f"task {task_id} was asked to stop")
    return Guarded(row.id, row.name, row.lock_key)


def succeed(session: Session, task: Guarded, result: Document | None) -> None:
    """End a guarded task well; its effect is in the same transaction."""
    session.flush()
    session.execute(_SUCCEED, {"task_id": task.id, "result": sa.null() if result is None else result})
    if is_followed(task):
        row = session.get_one(Task, task.id, populate_existing=True)
        follow(session, row)
        _ring_next(session, row, database.now(session))


def fail(session: Session, task_id: uuid.UUID, epoch: int, error: str) -> bool:
    """Give the task up; it becomes a dead letter, or REVOKED when a cancel was asked for. False when it is no longer held."""
    task = _held_for_update(session, task_id, epoch)
    if task is None:
        return False
    if not _revoked_as_asked(session, task):
        _end(session, task, TaskState.FAILURE, error=error)
    return True


def retry(
    session: Session, task_id: uuid.UUID, epoch: int, error: str, delay: float | None = None
) -> float | None:
    """Put the task off to its next attempt; the seconds until then, or None when it is given up or no longer held."""
    task = _held_for_update(session, task_id, epoch)
    if task is None or _revoked_as_asked(session, task):
        return None
    attempts = task.attempt - task.losses  # a lost worker is no failure of the task
    now = database.now(session)
    _note(task, now, error)
    if attempts >= MAX_ATTEMPTS:
        _end(session, task, TaskState.FAILURE, error=f"{error} (gave up after {attempts} attempts)")
        return None
    seconds = backoff(attempts) if delay is None else delay
    task.state = TaskState.RETRY
    task.error = error
    _let_go(session, task, now, run_after=now + dt.timedelta(seconds=seconds))
    return seconds


def hand_back(session: Session, task_id: uuid.UUID, epoch: int, delay: float = 0.0) -> bool:
    """Return a task that a worker cannot finish because it stops, or not begin; no attempt is counted.

    Somebody else is rung for at once, unless it is to wait `delay` seconds.
    """
    task = _held_for_update(session, task_id, epoch)
    if task is None:
        return False
    if not _revoked_as_asked(session, task):
        task.attempt -= 1
        _return_to_queue(session, task, delay)
    return True


def expire(session: Session, task: Task) -> None:
    """Take a task from a worker whose lease is over (the caller holds the row): back to PENDING, or given up.

    Nobody knows what ended or stopped the worker: that tells nothing of the task.
    """
    _lose(session, task, f"worker {task.worker} stopped answering")


def crash(session: Session, task_id: uuid.UUID, epoch: int, how: str, *, wait: bool = True) -> bool:
    """Take a task from who works on it because that did not stop in time or, where it works on nothing else, died.

    `how` says that of it. False when it is no longer held, or somebody holds the row and one is not to `wait`.
    """
    task = _held_for_update(session, task_id, epoch, wait=wait)
    if task is None:
        return False
    _crash(session, task, f"at {task.worker} it {how}")
    return True


def reap(session: Session, worker: str) -> Sequence[Task]:
    """Take all that a process held, by its name, that died while its worker lives; those tasks.

    Each of them may have been what it died of: a crash. But not the suspects, on which processes of their own work.
    """
    held = sa.select(Task).where(Task.worker == worker, Task.lease_until.is_not(None)).order_by(Task.id)
    tasks = session.scalars(held.with_for_update()).all()
    for task in tasks:
        what = f"process {worker} died"
        if task.crashes < SUSPECT_CRASHES:
            _crash(session, task, what)
        else:
            _lose(session, task, what)
    return tasks


def request_cancel(session: Session, task_id: uuid.UUID) -> Task:
    """Ask for a task to stop: at once when nobody works on it, else at its worker's next checkpoint.

    Raises Conflict when it has ended.
    """
    task = session.scalars(
        sa.select(Task).where(Task.id == task_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    if task.ended_at is not None:
        raise Conflict(f"The task has ended already: {task.state}.")
    if task.cancel_requested_at is None:
        task.cancel_requested_at = database.now(session)
    if task.state in WAITING:
        revoke(session, task)
    else:
        follow(session, task)
    return task


def revoke(session: Session, task: Task) -> None:
    """End a task (the caller holds the row) without effect; whoever still works on it can commit nothing."""
    _end(session, task, TaskState.REVOKED, error="cancelled")


def requeue(session: Session, task_id: uuid.UUID) -> Task:
    """Give a dead letter a new life, with all its attempts.

    Raises Conflict, and changes nothing, unless it is a FAILURE and nobody has asked for the same work since.
    """
    now = database.now(session)
    try:
        with session.begin_nested():
            task = _compare_and_set(
                session,
                (Task.id == task_id, Task.state == TaskState.FAILURE),
                state=TaskState.PENDING,
                attempt=0,
                losses=0,
                crashes=0,
                epoch=Task.epoch + 1,
                run_after=now,
                ended_at=None,
                cancel_requested_at=None,
            )
            if task is None:
                raise Conflict("Only a failed task can be requeued.")
            follow(session, task)
    except IntegrityError:  # uq_task_dedupe_key
        raise Conflict("The same work has been asked for again already.") from None
    ring_after_commit(session, task, now)
    return task


def _held(task_id: uuid.UUID, epoch: int) -> tuple[sa.ColumnElement[bool], ...]:
    return (Task.id == task_id, Task.epoch == epoch, Task.state.in_(ACTIVE))


def _held_for_update(session: Session, task_id: uuid.UUID, epoch: int, *, wait: bool = True) -> Task | None:
    return session.scalar(
        sa.select(Task)
        .where(*_held(task_id, epoch))
        .with_for_update(skip_locked=not wait)
        .execution_options(populate_existing=True)
    )


def _compare_and_set(
    session: Session, compare: tuple[sa.ColumnElement[bool], ...], **values: Any
) -> Task | None:
    return session.scalar(
        sa.update(Task)
        .where(*compare)
        .values(**values)
        .returning(Task)
        .execution_options(populate_existing=True, synchronize_session=False)
    )


def _revoked_as_asked(session: Session, task: Task) -> bool:
    """End a task whose cancel was asked for: one that leaves its worker must not go back to the queue with it."""
    if task.cancel_requested_at is None:
        return False
    revoke(session, task)
    return True


def _note(task: Task, now: dt.datetime, what: str) -> None:
    entry = {"at": now.isoformat(), "worker": task.worker, "attempt": task.attempt, "what": what}
    task.history = [*task.history, entry][-HISTORY:]


def _crash(session: Session, task: Task, what: str) -> None:
    task.crashes += 1
    _take_away(session, task, what, crash_backoff(task.crashes))


def _lose(session: Session, task: Task, what: str) -> None:
    _take_away(session, task, what, loss_backoff(task.losses + 1))


def _take_away(session: Session, task: Task, what: str, seconds: float) -> None:
    """Take a task from who works on it: back to PENDING for so long, or given up."""
    task.losses += 1
    _note(task, database.now(session), what)
    if _revoked_as_asked(session, task):
        return
    if task.crashes > SUSPECT_CRASHES or task.losses >= MAX_LOSSES:
        _end(session, task, TaskState.FAILURE, error=_epitaph(task))
    else:
        task.error = what
        _return_to_queue(session, task, seconds)


def _epitaph(task: Task) -> str:
    """Why a task is given up that was lost too often: what happened, attempt by attempt."""
    lines = [f"{each['at'][:19]}Z attempt {each['attempt']}: {each['what']}" for each in task.history]
    return f"given up after {task.losses} losses: {'; '.join(lines)}"


def _return_to_queue(session: Session, task: Task, seconds: float) -> None:
    task.state = TaskState.PENDING
    now = database.now(session)
    _let_go(session, task, now, run_after=now + dt.timedelta(seconds=seconds))
    if not seconds:  # the sweeper rings for what has to wait
        ring_after_commit(session, task, now)


def _let_go(session: Session, task: Task, now: dt.datetime, *, run_after: dt.datetime) -> None:
    task.epoch += 1
    task.run_after = run_after
    task.lease_until = None
    task.worker = None
    task.stage = task.current = task.total = None  # nobody is there any more
    follow(session, task)
    _ring_next(session, task, now)


def _end(
    session: Session, task: Task, state: TaskState, *, error: str | None, result: Document | None = None
) -> None:
    now = database.now(session)
    task.state = state
    task.error = error
    task.result = result
    task.ended_at = now
    task.lease_until = None
    task.epoch += 1
    follow(session, task)
    _ring_next(session, task, now)


def _ring_next(session: Session, task: Task, now: dt.datetime) -> None:
    """Let the most urgent task that waits for this one's lock know that it is free.

    A row that somebody holds is passed over, since its holder may be waiting for us; the sweeper rings for it.
    """
    if task.lock_key is None:
        return
    waiting = sa.select(Task).where(
        Task.lock_key == task.lock_key,
        in_states(Task.state, WAITING),
        Task.run_after <= now,
        Task.id != task.id,
    )
    waiting = waiting.order_by(Task.priority, Task.created_at).limit(1).with_for_update(skip_locked=True)
    if (following := session.scalar(waiting)) is not None:
        ring_after_commit(session, following, now)


_FOLLOWERS = {EXECUTE_VULNERABILITY_SCAN: run.follow, DELIVER_NOTIFICATION: dispatch.follow}
"""What hangs on the tasks of a contract."""
FOLLOWED = frozenset(_FOLLOWERS)
"""The contracts on whose tasks something hangs."""


class Known(Protocol):
    """What has to be known of a task to tell whether something hangs on it."""

    @property
    def name(self) -> str:
        """Its contract."""

    @property
    def lock_key(self) -> str | None:
        """Its lock."""


def is_followed(task: Known) -> bool:
    """Whether something may hang on the task, or wait for its lock."""
    return task.lock_key is not None or task.name in FOLLOWED


def follow(session: Session, task: Task) -> None:
    """Let what hangs on the task change with it, in this transaction."""
    session.flush()
    if task.name in FOLLOWED:
        _FOLLOWERS[task.name](session, task)
    elif task.lock_key == MIRROR:
        sync.follow(session, task)


# What a worker does hundreds of times a second is put together once.
_GUARD = (
    sa.select(
        _TABLE.c.id,
        _TABLE.c.name,
        _TABLE.c.lock_key,
        _TABLE.c.epoch,
        _TABLE.c.state,
        _TABLE.c.cancel_requested_at,
    )
    .where(_TABLE.c.id == sa.bindparam("task_id"))
    .with_for_update()
)
_SUCCEED = (
    sa.update(_TABLE)
    .where(_TABLE.c.id == sa.bindparam("task_id"))
    .values(
        state=TaskState.SUCCESS,
        error=None,
        result=sa.bindparam("result"),
        ended_at=database.Clock(),
        lease_until=None,
        epoch=_TABLE.c.epoch + 1,
    )
)
