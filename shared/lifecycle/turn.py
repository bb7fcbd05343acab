"""Whose turn it is in a queue, and taking it: what a worker does for every task, in as few statements as can be.

The statements are put together once for each set of names, on the plain table, and spell out whatever is the same each time:
binding and reading values is most of what a statement costs its caller.
"""

import datetime as dt
import functools
import uuid
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Conflict
from shared.lifecycle import task as lifecycle
from shared.models.base import Document
from shared.models.task import ACTIVE, BY_AGE, WAITING, Task, TaskState

_TABLE = Task.metadata.tables[Task.__tablename__]


@dataclass(frozen=True)
class Turn:
    """Whose turn it is in a queue: the most urgent of the tasks that `names` can do, or that which is due the longest."""

    queue: str
    names: tuple[str, ...]
    longest_due: bool = False


@dataclass(frozen=True)
class Claimant:
    """Who claims: a worker, by name, for as long as `lease`."""

    worker: str
    lease: dt.timedelta


class Claimed(NamedTuple):
    """What a worker has to know of a task that it holds."""

    id: uuid.UUID
    name: str
    queue: str
    arguments: Document
    request_id: str | None
    lock_key: str | None
    attempt: int
    losses: int
    epoch: int

    @classmethod
    def of(cls, task: Task) -> "Claimed":
        """What is known of a row that was read."""
        return cls(*(getattr(task, name) for name in cls._fields))


@dataclass(frozen=True)
class Ended:
    """A held task on which nothing hangs, and that has nothing to write but this result."""

    task_id: uuid.UUID
    epoch: int
    result: Document | None


class Taken(NamedTuple):
    """What `take` did."""

    ended: bool
    """Whether the other task was still held and not cancelled, and so was ended."""
    task: Claimed | None
    more: bool
    """Whether there may be one whose turn it is that is not for `take`."""


def claim_next(session: Session, turn: Turn, claimant: Claimant) -> Claimed | None:
    """Take the task whose turn it is; None when none is due but those that wait for a lock.

    Raises Conflict when somebody took the task's lock at the same moment: whoever looks again, in another
    transaction, passes over it.
    """
    try:
        row = session.connection().execute(_claim(turn), _values(turn, claimant)).one_or_none()
    except IntegrityError:  # uq_task_lock_key
        raise Conflict("The lock of this task was taken at this moment.") from None
    if row is None:
        return None
    claimed = Claimed(*row)
    if lifecycle.is_followed(claimed):
        lifecycle.follow(session, session.get_one(Task, claimed.id, populate_existing=True))
    return claimed


def take(connection: sa.Connection, turn: Turn, claimant: Claimant, ended: Ended | None = None) -> Taken:
    """Take the task whose turn it is if nothing hangs on it, and end another one before; by `database.single`.

    In PostgreSQL this is one statement. When the other one cannot be ended nothing is taken.
    """
    values = _values(turn, claimant)
    if ended is not None:
        values |= {"ended_id": ended.task_id, "ended_epoch": ended.epoch, "ended_result": ended.result}
    if connection.dialect.name == "postgresql":
        statement = _take(turn) if ended is None else _end_and_take(turn)
        ended_id, candidate, *claimed = connection.execute(statement, values).one()
        task = None if claimed[0] is None else Claimed(*claimed)
        return Taken(ended_id is not None, task, candidate is not None)
    if ended is not None and connection.execute(_END, values).rowcount == 0:
        return Taken(ended=False, task=None, more=False)
    row = connection.execute(_claim_unfollowed(turn), values).one_or_none()
    return Taken(ended is not None, None if row is None else Claimed(*row), more=True)


def _values(turn: Turn, claimant: Claimant) -> dict[str, Any]:
    seconds = claimant.lease.total_seconds()
    return {"turn_queue": turn.queue, "claimed_by": claimant.worker, "lease_seconds": seconds}


def _text(value: str) -> sa.ColumnElement[str]:
    """A word of our own, spelled out in the statement."""
    return sa.literal_column(f"'{value}'", sa.String())


def _states(state: sa.ColumnElement[TaskState], states: tuple[TaskState, ...]) -> sa.ColumnElement[bool]:
    return state.in_([_text(each) for each in states])


_ONE = sa.literal_column("1", sa.Integer())
_UNFOLLOWED = sa.and_(
    _TABLE.c.lock_key.is_(None), _TABLE.c.name.not_in([_text(name) for name in sorted(lifecycle.FOLLOWED)])
)


def _candidate(turn: Turn) -> sa.Select[Any]:
    """The task whose turn it is, held."""
    row, holder = _TABLE.c, _TABLE.alias("holder")
    held = sa.exists().where(
        holder.c.lock_key == row.lock_key, holder.c.lock_key.is_not(None), _states(holder.c.state, ACTIVE)
    )
    return (
        sa.select(row.id)
        .where(
            row.queue == sa.bindparam("turn_queue"),
            _states(row.state, WAITING),
            row.run_after <= database.Clock(),
            row.name.in_([_text(name) for name in turn.names]),
            sa.or_(row.lock_key.is_(None), ~held),
            *[sa.text(f"task.{BY_AGE}")] if turn.longest_due else [],
        )
        .order_by(*[] if turn.longest_due else [row.priority], row.run_after)
        .limit(_ONE)
        .with_for_update(skip_locked=True, of=_TABLE)
    )


def _claiming() -> sa.Update:
    row = _TABLE.c
    return sa.update(_TABLE).values(
        state=_text(TaskState.STARTED),
        attempt=row.attempt + _ONE,
        epoch=row.epoch + _ONE,
        worker=sa.bindparam("claimed_by"),
        lease_until=database.Clock(sa.bindparam("lease_seconds", type_=sa.Float())),
        started_at=database.Clock(),
        **dict.fromkeys(("stage", "current", "total"), sa.null()),
    )


_COLUMNS = tuple(_TABLE.c[name] for name in Claimed._fields)


@functools.cache
def _claim(turn: Turn) -> sa.Executable:
    return _claiming().where(_TABLE.c.id == _candidate(turn).scalar_subquery()).returning(*_COLUMNS)


@functools.cache
def _claim_unfollowed(turn: Turn) -> sa.Executable:
    this = _TABLE.c.id == _candidate(turn).scalar_subquery()
    return _claiming().where(this, _UNFOLLOWED).returning(*_COLUMNS)


_END = (
    sa.update(_TABLE)
    .where(
        _TABLE.c.id == sa.bindparam("ended_id"),
        _TABLE.c.epoch == sa.bindparam("ended_epoch"),
        _states(_TABLE.c.state, ACTIVE),
        _TABLE.c.cancel_requested_at.is_(None),
    )
    .values(
        state=_text(TaskState.SUCCESS),
        error=sa.null(),
        result=sa.bindparam("ended_result", type_=_TABLE.c.result.type),
        ended_at=database.Clock(),
        lease_until=sa.null(),
        epoch=_TABLE.c.epoch + _ONE,
    )
)


@functools.cache
def _take(turn: Turn) -> sa.Executable:
    return _taking(turn, None)


@functools.cache
def _end_and_take(turn: Turn) -> sa.Executable:
    return _taking(turn, _END.returning(_TABLE.c.id).cte("ended"))


def _taking(turn: Turn, ended: sa.CTE | None) -> sa.Executable:
    """One row: the ended task's id, the candidate's id, and what is claimed; each NULL where there is none."""
    candidate = _candidate(turn).add_columns(_UNFOLLOWED.label("unfollowed")).cte("candidate")
    claim = _claiming().where(_TABLE.c.id == candidate.c.id, candidate.c.unfollowed)
    if ended is not None:
        claim = claim.where(sa.exists(sa.select(ended.c.id)))
    claimed = claim.returning(*_COLUMNS).cte("claimed")
    found = sa.select(_ONE.label("one")).cte("found").outerjoin(candidate, sa.true())
    if ended is None:
        return sa.select(sa.null(), candidate.c.id, *claimed.c).select_from(
            found.outerjoin(claimed, sa.true())
        )
    found = found.outerjoin(ended, sa.true()).outerjoin(claimed, sa.true())
    return sa.select(ended.c.id, candidate.c.id, *claimed.c).select_from(found)
