"""The task contract: names, queues and arguments of all work that can be asked for, and `ask`, which asks for it.

A name never changes; arguments are ids and small values. The API asks by contract and never imports an actor; the worker
has one actor per entry (`tests/rules` checks it).
"""

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import psycopg
from sqlalchemy.orm import Session

from shared import database
from shared.models.base import Document
from shared.models.notification import Priority
from shared.models.task import OPEN_SQL, Task, TaskState


class Ring(NamedTuple):
    """What a doorbell message says: this task, of this name, on this queue."""

    task_id: uuid.UUID
    name: str
    queue: str


@dataclass(frozen=True)
class Contract:
    """One kind of work."""

    name: str
    queue: str
    arguments: frozenset[str]
    priority: int = 50
    """Smaller is more urgent."""
    dedupe_key: str | None = None
    """While one that bears it has not ended, asking again gives that one; None: each is asked for on its own."""
    lock_key: str | None = None
    """Tasks that bear the same are never worked on at once."""
    urgency: Callable[[Document], int] | None = None
    """The priority of one, from its arguments, where it is not the same for all."""


QUEUES = ("default", "scans", "notifications")
"""Every queue; each can have a worker container of its own."""

EXECUTE_VULNERABILITY_SCAN = "execute_vulnerability_scan"
SYNC_NVD_UPDATES = "sync_nvd_updates"
IMPORT_NVD_FEED = "import_nvd_feed"
SYNC_KEV = "sync_kev"
SYNC_EPSS = "sync_epss"
BUILD_NVD_FEEDS = "build_nvd_feeds"
SEND_NOTIFICATION = "send_notification_async"
SEND_SCAN_COMPLETION = "send_scan_completion_notification"
START_AFFECTED_SCANS = "start_affected_scans"
SEND_FINDINGS_NEWS = "send_findings_news"
DELIVER_NOTIFICATION = "deliver_notification"
TEST_NOTIFICATION_CHANNEL = "test_notification_channel"
CLEANUP_OLD_NOTIFICATIONS = "cleanup_old_notifications"

MIRROR = "mirror"
"""The lock of all tasks that write into the mirror."""

URGENCY = {Priority.CRITICAL: 10, Priority.HIGH: 20, Priority.NORMAL: 30, Priority.LOW: 40}
"""The task priority of what tells people something, by how much it matters to them."""


def _as_it_matters(arguments: Document) -> int:
    return URGENCY.get(arguments["priority"], URGENCY[Priority.NORMAL])


def _as_it_ended(arguments: Document) -> int:
    if arguments["critical_count"]:
        return URGENCY[Priority.CRITICAL]
    return URGENCY[Priority.HIGH if arguments["high_count"] else Priority.NORMAL]


CONTRACTS: dict[str, Contract] = {
    contract.name: contract
    for contract in (
        Contract(EXECUTE_VULNERABILITY_SCAN, "scans", frozenset({"run_id"})),
        Contract(
            SYNC_NVD_UPDATES,
            "default",
            frozenset({"days_back", "full"}),
            priority=60,
            dedupe_key="nvd_sync",
            lock_key=MIRROR,
        ),
        Contract(IMPORT_NVD_FEED, "default", frozenset({"path"}), priority=70, lock_key=MIRROR),
        Contract(SYNC_KEV, "default", frozenset(), priority=60, dedupe_key="kev_sync"),
        Contract(SYNC_EPSS, "default", frozenset(), priority=60, dedupe_key="epss_sync"),
        Contract(BUILD_NVD_FEEDS, "default", frozenset({"kind"}), priority=65, lock_key="served_feeds"),
        Contract(
            SEND_NOTIFICATION,
            "notifications",
            frozenset(
                {"user_id", "notification_type", "title", "message", "priority", "entity_type", "entity_id"}
            ),
            urgency=_as_it_matters,
        ),
        Contract(
            SEND_SCAN_COMPLETION,
            "notifications",
            frozenset({"scan_id", "user_id", "scan_name", "total_findings", "critical_count", "high_count"}),
            urgency=_as_it_ended,
        ),
        Contract(START_AFFECTED_SCANS, "default", frozenset({"asset_ids"}), priority=20),
        Contract(SEND_FINDINGS_NEWS, "notifications", frozenset({"user_id", "since"}), priority=30),
        Contract(DELIVER_NOTIFICATION, "notifications", frozenset({"delivery_id"}), priority=30),
        Contract(
            TEST_NOTIFICATION_CHANNEL, "notifications", frozenset({"channel_id", "attempt_id"}), priority=20
        ),
        Contract(CLEANUP_OLD_NOTIFICATIONS, "default", frozenset({"days_old"}), priority=90),
    )
}
"""Every contract by name."""


@dataclass(frozen=True)
class Asking:
    """How a piece of work is to be done, beside what it is. What is left out is as its contract says."""

    priority: int | None = None
    run_after: dt.datetime | None = None
    dedupe_key: str | None = None
    """While a task with this key has not ended, asking again gives that task."""
    lock_key: str | None = None
    """Tasks with this key never run at once."""
    asked_by: uuid.UUID | None = None


def ask(session: Session, name: str, how: Asking = Asking(), /, **arguments: Any) -> uuid.UUID:
    """Ask for work in the transaction that makes it necessary; the doorbell rings after the commit. Gives the task's id.

    The task bears the `request_id` of the log's context: that of the request, or of the task that asks.

    Raises KeyError for an unknown name and TypeError for arguments that the contract does not name: mistakes of the
    caller's code, not of a user.
    """
    contract = CONTRACTS[name]
    if set(arguments) != contract.arguments:
        raise TypeError(f"{name} takes {sorted(contract.arguments)}, not {sorted(arguments)}")
    session.flush()  # whom and what the row names may be as new as itself
    values = {
        "id": uuid.uuid4(),
        "name": name,
        "queue": contract.queue,
        "arguments": arguments,
        "priority": _priority(contract, how, arguments),
        "dedupe_key": how.dedupe_key or contract.dedupe_key,
        "lock_key": how.lock_key or contract.lock_key,
        "asked_by": how.asked_by,
        "request_id": structlog.contextvars.get_contextvars().get("request_id"),
    }
    return _add_unless_asked(session, values, how.run_after)


def _priority(contract: Contract, how: Asking, arguments: Document) -> int:
    if how.priority is not None:
        return how.priority
    return contract.urgency(arguments) if contract.urgency else contract.priority


def _add_unless_asked(session: Session, values: Document, run_after: dt.datetime | None) -> uuid.UUID:
    """Insert a task, or find the open one that bears its dedupe key."""
    connection = session.connection()
    adding = _ADD[connection.dialect.name]
    given = adding.bound({**values, "asked_for": run_after})
    while True:  # the open one may end between our insert and our look
        added = connection.exec_driver_sql(adding.sql, given, execution_options={"preserve_rowcount": True})
        if added.rowcount:
            task_id: uuid.UUID = values["id"]
            if run_after is None or _is_rung_for(session, task_id):
                _ring(session, Ring(task_id, values["name"], values["queue"]))
            return task_id
        open_one = sa.select(Task.id).where(Task.dedupe_key == values["dedupe_key"], Task.ended_at.is_(None))
        if (standing := session.scalar(open_one)) is not None:
            return standing


def _is_rung_for(session: Session, task_id: uuid.UUID) -> bool:
    return session.scalar(sa.select(Task.rung_at).where(Task.id == task_id)) is not None


def ring_after_commit(session: Session, task: Task, now: dt.datetime) -> None:
    """Note that `task` is to be rung for once this transaction is committed (`shared.database.transaction` does it)."""
    task.rung_at = now
    _ring(session, Ring(task.id, task.name, task.queue))


def _ring(session: Session, ring: Ring) -> None:
    session.info.setdefault("rings", []).append(ring)


_TABLE = Task.metadata.tables[Task.__tablename__]
_GIVEN = (
    *("id", "name", "queue", "arguments", "priority"),
    *("dedupe_key", "lock_key", "asked_by", "request_id"),
)
_NEW = {"state": f"'{TaskState.PENDING}'", "attempt": "0", "losses": "0", "epoch": "0", "history": "'[]'"}
"""What is always the same is part of the statement, since each parameter costs."""


class _Add:
    """The statement of `ask` as drivers take it, since SQLAlchemy's way to them costs its caller as much as the statement.

    It reads the clock itself, notes when a task that is due was rung for, and gives nothing back: rows cost as well.
    """

    def __init__(self, insert: Callable[[sa.Table], Any], dialect: sa.Dialect) -> None:
        row, clock = _TABLE.c, database.Clock()
        types = {**{name: row[name].type for name in _GIVEN}, "asked_for": row.run_after.type}
        given = {name: sa.bindparam(name, type_=each) for name, each in types.items()}
        due = sa.func.coalesce(given.pop("asked_for"), clock)
        statement = (
            insert(_TABLE)
            .values(
                **given,
                **{name: sa.literal_column(value) for name, value in _NEW.items()},
                created_at=clock,
                run_after=due,
                rung_at=sa.case((due <= clock, clock)),
            )
            .on_conflict_do_nothing(index_elements=[row.dedupe_key], index_where=OPEN_SQL)
        )
        self.sql = str(statement.compile(dialect=dialect))
        self._binds = {
            name: each.dialect_impl(dialect).bind_processor(dialect) for name, each in types.items()
        }

    def bound(self, values: Document) -> Document:
        """The values as the driver takes them."""
        return {name: bind(values[name]) if bind else values[name] for name, bind in self._binds.items()}


_ADD = {
    "postgresql": _Add(postgresql.insert, psycopg.dialect()),  # type: ignore[no-untyped-call]
    "sqlite": _Add(sqlite.insert, sqlite.dialect(paramstyle="named")),
}
"""By the database's name."""
