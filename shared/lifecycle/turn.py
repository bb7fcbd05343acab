"""Whose turn it is in a queue, and taking it: what a worker does for every task, in as few statements as can be.

The statements are put together once for each set of names, on the plain table, and spell out whatever is the same each time:
binding and reading values is most of what a statement costs its caller.
"""

import datetime as dt
import functools
import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB, psycopg
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Conflict
from shared.lifecycle import task as lifecycle
from shared.models.base import Document
from shared.models.task import ACTIVE, BY_AGE, WAITING, Task, TaskState

_TABLE = Task.metadata.tables[Task.__tablename__]
_PSYCOPG: sa.Dialect = psycopg.dialect()  # type: ignore[no-untyped-call]


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
    crashes: int
    epoch: int

    @classmethod
    def of(cls, task: Task) -> "Claimed":
        """What is known of a row that was read."""
        return cls(*(getattr(task, name) for name in cls._fields))


@dataclass(frozen=True)
class Ended:
    """A held task on which nothing hangs, which is to end well with this result."""

    task_id: uuid.UUID
    epoch: int
    result: Document | None


class Taken(NamedTuple):
    """What `take` did."""

    ended: bool
    """Whether a task was to be ended, was still held and not cancelled, and so was ended."""
    task: Claimed | None
    more: bool
    """Whether it is the turn of one that is for `claim_next`."""


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


def take(
    execute: Callable[[str, dict[str, Any]], Any], ended: Ended | None, turn: Turn, claimant: Claimant
) -> Taken:
    """In one statement end a task, if one is given, and take the one whose turn it is if nothing hangs on it.

    When the former cannot be ended nothing is taken. For PostgreSQL; `execute` is the driver's, by itself (`database.driver`) or
    in a transaction that writes in the name of the task that ends.
    """
    values = _values(turn, claimant)
    if ended is not None:
        result = None if ended.result is None else json.dumps(ended.result)
        values |= {"ended_id": ended.task_id, "ended_epoch": ended.epoch, "ended_result": result}
    ended_id, candidate, *claimed = execute(_take(turn, ending=ended is not None), values).fetchone()
    task = None if claimed[0] is None else Claimed(*claimed)
    return Taken(ended_id is not None, task, more=task is None and candidate is not None)


def _values(turn: Turn, claimant: Claimant) -> dict[str, Any]:
    seconds = claimant.lease.total_seconds()
    return {"turn_queue": turn.queue, "claimed_by": claimant.worker, "lease_seconds": seconds}


def _text(value: str) -> sa.ColumnElement[str]:
    """A word of our own, spelled out in the statement."""
    return sa.literal_column(f"'{value}'", sa.String())


def _states(state: sa.ColumnElement[TaskState], states: tuple[TaskState, ...]) -> sa.ColumnElement[bool]:
    """As `in_states`, which renders its states at each execution."""
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
            row.name.in_([_text(name) for name in turn.names]) if turn.names else sa.false(),
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


def _end() -> sa.Update:
    row = _TABLE.c
    return (
        sa.update(_TABLE)
        .where(
            row.id == sa.bindparam("ended_id"),
            row.epoch == sa.bindparam("ended_epoch"),
            _states(row.state, ACTIVE),
            row.cancel_requested_at.is_(None),
        )
        .values(
            state=_text(TaskState.SUCCESS),
            error=sa.null(),
            result=sa.cast(sa.bindparam("ended_result", type_=sa.Text()), JSONB()),
            ended_at=database.Clock(),
            lease_until=sa.null(),
            epoch=row.epoch + _ONE,
        )
    )


@functools.cache
def _take(turn: Turn, *, ending: bool) -> str:
    """The statement of `take`: one row of the ended task's id, the candidate's, and what is claimed; NULL where there is none."""
    looking = _candidate(turn).add_columns(_UNFOLLOWED.label("unfollowed"))
    ended = _end().returning(_TABLE.c.id).cte("ended")
    if ending:
        looking = looking.where(sa.exists(sa.select(ended.c.id)))
    candidate = looking.cte("candidate")
    claim = _claiming().where(_TABLE.c.id == candidate.c.id, candidate.c.unfollowed)
    found: sa.FromClause = sa.select(_ONE.label("one")).cte("found").outerjoin(candidate, sa.true())
    ended_id: sa.ColumnElement[Any] = sa.null()
    if ending:
        found = found.outerjoin(ended, sa.true())
        ended_id = ended.c.id
    claimed = claim.returning(*_COLUMNS).cte("claimed")
    row = sa.select(ended_id, candidate.c.id, *claimed.c)
    return str(row.select_from(found.outerjoin(claimed, sa.true())).compile(dialect=_PSYCOPG))
