"""A task: one piece of asked-for work. The row is the truth, the queue's message only a doorbell."""

import datetime as dt
import enum
import uuid
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute, Mapped, mapped_column

from shared.models.base import Base, Document, enum_column


class TaskState(enum.StrEnum):
    """Where a task stands; the transitions are in `shared.lifecycle.task`."""

    PENDING = "PENDING"
    """Asked for; nobody works on it."""
    STARTED = "STARTED"
    """A worker holds the lease."""
    PROGRESS = "PROGRESS"
    """A worker holds the lease and has said how far it is."""
    RETRY = "RETRY"
    """The last attempt failed in a way that may pass; it runs again at `run_after`."""
    SUCCESS = "SUCCESS"
    """Done; its effect is committed."""
    FAILURE = "FAILURE"
    """Given up; `error` says why. A dead letter."""
    REVOKED = "REVOKED"
    """Cancelled; it has no effect and never will."""


ACTIVE = (TaskState.STARTED, TaskState.PROGRESS)
"""States in which a worker holds the lease."""
WAITING = (TaskState.PENDING, TaskState.RETRY)
"""States from which a worker may claim the task."""
ENDED = (TaskState.SUCCESS, TaskState.FAILURE, TaskState.REVOKED)
"""States that do not change any more (but for a dead letter that is requeued)."""
UNDONE = (TaskState.FAILURE, TaskState.REVOKED)
"""States in which a task has ended without effect: few of those that ended."""

BY_AGE = "attempt >= 0"
"""Always true. Only who states it finds waiting tasks by their age: PostgreSQL, which counts rows once a minute, may believe
for a while that hardly any task waits, and would then sort thousands to find the most urgent one."""
OPEN_SQL = sa.text("ended_at IS NULL")
"""Of these only one bears a dedupe key."""


def in_states(state: InstrumentedAttribute[TaskState], states: Sequence[TaskState]) -> sa.ColumnElement[bool]:
    """Whether `state` is one of `states`, spelled out in the statement: only then does a partial index serve it."""
    return state.in_(sa.bindparam(None, states, expanding=True, literal_execute=True, type_=state.type))


def _index(name: str, *columns: str, where: str, unique: bool = False) -> sa.Index:
    """A partial index, into which only some of the versions of a task are entered; states as `in_states` writes them."""
    condition = sa.text(where)
    return sa.Index(name, *columns, unique=unique, sqlite_where=condition, postgresql_where=condition)


class Task(Base):
    """One piece of asked-for work, its lease and its end."""

    __tablename__ = "task"
    __table_args__ = (
        _index("ix_task_urgent", "queue", "priority", "run_after", where="state IN ('PENDING', 'RETRY')"),
        _index("ix_task_due", "queue", "run_after", where=f"state IN ('PENDING', 'RETRY') AND {BY_AGE}"),
        _index("ix_task_held", "queue", where="lease_until IS NOT NULL"),
        _index("ix_task_undone", "queue", "ended_at", where="state IN ('FAILURE', 'REVOKED')"),
        _index("ix_task_ended_at", "ended_at", where="ended_at IS NOT NULL"),
        _index("uq_task_dedupe_key", "dedupe_key", where=OPEN_SQL.text, unique=True),
        _index(
            "uq_task_lock_key",
            "lock_key",
            where="lock_key IS NOT NULL AND state IN ('STARTED', 'PROGRESS')",
            unique=True,
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    """Also the id of the Dramatiq message that rings for it."""
    name: Mapped[str] = mapped_column(sa.String(64))
    queue: Mapped[str] = mapped_column(sa.String(32))
    arguments: Mapped[Document]
    priority: Mapped[int] = mapped_column(default=50)
    """Smaller is more urgent."""
    state: Mapped[TaskState] = mapped_column(enum_column(TaskState), default=TaskState.PENDING)
    attempt: Mapped[int] = mapped_column(default=0)
    """How often a worker claimed it, hand-backs not counted."""
    losses: Mapped[int] = mapped_column(default=0)
    """How often it lost who worked on it: a lease ran out, or its process crashed."""
    crashes: Mapped[int] = mapped_column(server_default="0")
    """How many of the losses were the crash of a process whose worker lived: any of the tasks in it may be to blame."""
    history: Mapped[list[Document]] = mapped_column(default=list)
    """What came of the attempts that did not end it, oldest first: `at`, `worker`, `attempt`, `what`."""
    epoch: Mapped[int] = mapped_column(default=0)
    """Fencing number: grows with every claim and every taking-away; a worker with an old one can commit nothing."""
    run_after: Mapped[dt.datetime]
    lease_until: Mapped[dt.datetime | None]
    worker: Mapped[str | None] = mapped_column(sa.String(128))
    stage: Mapped[str | None] = mapped_column(sa.String(32))
    current: Mapped[int | None]
    total: Mapped[int | None]
    result: Mapped[Document | None]
    error: Mapped[str | None] = mapped_column(sa.Text)
    dedupe_key: Mapped[str | None] = mapped_column(sa.String(200))
    """At most one task with this key has not ended (partial unique index)."""
    lock_key: Mapped[str | None] = mapped_column(sa.String(200))
    """At most one task with this key is being worked on (partial unique index)."""
    asked_by: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("user.id", ondelete="SET NULL"))
    request_id: Mapped[str | None] = mapped_column(sa.String(64))
    """The request that it goes back to, through whatever asked for it; in every log line about it."""
    created_at: Mapped[dt.datetime]
    started_at: Mapped[dt.datetime | None]
    ended_at: Mapped[dt.datetime | None]
    rung_at: Mapped[dt.datetime | None]
    cancel_requested_at: Mapped[dt.datetime | None]

    @property
    def percent(self) -> int | None:
        """How far the present stage is, 0 to 100; None when the total is not known."""
        if not self.total or self.current is None:
            return None
        return min(100, self.current * 100 // self.total)
