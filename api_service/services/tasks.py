"""Tasks as those see them who asked: state, progress, cancelling, queues and dead letters."""

import datetime as dt
import uuid
from collections import defaultdict
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services.tokens import Principal
from shared import database
from shared.errors import Forbidden, NotFound
from shared.lifecycle import task as lifecycle
from shared.models.task import ACTIVE, UNDONE, WAITING, Task, TaskState, in_states
from shared.models.user import Role
from shared.tasks import EXECUTE_VULNERABILITY_SCAN, QUEUES


@dataclass(frozen=True)
class Queue:
    """How a queue stands, from the database."""

    queue: str
    waiting: int
    """Due now."""
    delayed: int
    """Between two attempts, or not due yet."""
    running: int
    dead: int
    """Failed for good."""
    oldest_pending_seconds: float | None
    """How long the oldest due task has waited; None when none is due."""
    workers_busy: int
    """Distinct workers that hold a lease."""
    ended_last_minute: int
    """Tasks that came to an end, whichever, in the last 60 s: the rate."""


def list_tasks(
    session: Session,
    *,
    page: PageRequest,
    state: TaskState | None = None,
    queue: str | None = None,
    name: str | None = None,
) -> Page[Task]:
    """Tasks, newest first."""
    statement = sa.select(Task)
    if state is not None:
        statement = statement.where(_is_in(state))
    for column, value in ((Task.queue, queue), (Task.name, name)):
        if value is not None:
            statement = statement.where(column == value)
    return fetch(session, statement.order_by(Task.created_at.desc(), Task.id), page)


def _is_in(state: TaskState) -> sa.ColumnElement[bool]:
    """Whether a task is in a state, said so that the partial index for its kind of state serves it."""
    if state in WAITING:
        return sa.and_(in_states(Task.state, WAITING), Task.state == state)
    if state in ACTIVE:
        return sa.and_(Task.lease_until.is_not(None), Task.state == state)
    if state in UNDONE:
        return sa.and_(in_states(Task.state, UNDONE), Task.state == state)
    return Task.state == state


def get_task(session: Session, task_id: uuid.UUID) -> Task:
    """One task. Raises NotFound; ended tasks are kept for a day."""
    task = session.get(Task, task_id)
    if task is None:
        raise _missing()
    return task


def cancel_task(session: Session, who: Principal, task_id: uuid.UUID) -> Task:
    """Ask for a task to stop.

    Scans are everybody's; other work is cancelled by who asked for it, or by an admin. Raises NotFound, Forbidden, and
    Conflict when it has ended.
    """
    task = session.get(Task, task_id, with_for_update=True)
    if task is None:
        raise _missing()
    if who.role != Role.ADMIN and task.asked_by != who.user_id and task.name != EXECUTE_VULNERABILITY_SCAN:
        raise Forbidden("Only who asked for this task, or an admin, may cancel it.")
    return lifecycle.request_cancel(session, task_id)


def list_queues(session: Session) -> list[Queue]:
    """Every queue of the contract."""
    now = database.now(session)
    kinds = (
        _count("waiting", in_states(Task.state, WAITING), Task.run_after <= now),
        _count("delayed", in_states(Task.state, WAITING), Task.run_after > now),
        _count("running", Task.lease_until.is_not(None)),
        _count("dead", _is_in(TaskState.FAILURE)),
    )  # apart, each of them has an index; most tasks have ended and are none of these
    rows = session.execute(sa.union_all(*kinds)).all()
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in rows:
        counts[row.queue][row.kind] = row.number
    oldest = {row.queue: (now - row.oldest).total_seconds() for row in rows if row.kind == "waiting"}
    busy = {row.queue: row.workers for row in rows if row.kind == "running"}
    ended = _ended_since(session, now - dt.timedelta(minutes=1))
    return [
        Queue(
            queue,
            **{kind: counts[queue][kind] for kind in ("waiting", "delayed", "running", "dead")},
            oldest_pending_seconds=oldest.get(queue),
            workers_busy=busy.get(queue, 0),
            ended_last_minute=ended.get(queue, 0),
        )
        for queue in QUEUES
    ]


def _count(kind: str, *which: sa.ColumnElement[bool]) -> sa.Select[str, str, int, dt.datetime, int]:
    counts = sa.select(
        Task.queue,
        sa.literal(kind).label("kind"),
        sa.func.count().label("number"),
        sa.func.min(Task.run_after).label("oldest"),
        sa.func.count(Task.worker.distinct()).label("workers"),
    )
    return counts.where(*which).group_by(Task.queue)


def _ended_since(session: Session, since: dt.datetime) -> dict[str, int]:
    query = sa.select(Task.queue, sa.func.count()).where(Task.ended_at > since).group_by(Task.queue)
    return dict(session.execute(query).all())


def list_dead(session: Session, queue: str, *, page: PageRequest) -> Page[Task]:
    """The queue's dead letters: tasks that failed for good, the latest first. Raises NotFound for an unknown queue."""
    _check_queue(queue)
    dead = sa.select(Task).where(Task.queue == queue, _is_in(TaskState.FAILURE))
    return fetch(session, dead.order_by(Task.ended_at.desc(), Task.id), page)


def requeue(session: Session, queue: str, task_id: uuid.UUID) -> Task:
    """Give a dead letter a new life. Raises NotFound, and Conflict unless it is one."""
    _check_queue(queue)
    task = session.get(Task, task_id)
    if task is None or task.queue != queue:
        raise _missing()
    return lifecycle.requeue(session, task_id)


def _check_queue(queue: str) -> None:
    if queue not in QUEUES:
        raise NotFound(f"There is no such queue; there are {', '.join(QUEUES)}.")


def _missing() -> NotFound:
    return NotFound("There is no such task; ended ones are kept for a day.")
