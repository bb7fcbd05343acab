"""How a database answers statements about tasks when a day's ended ones are there."""

import datetime as dt
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from shared.models.task import Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS

ENDED, WAITING, ACTIVE = 4000, 200, 8


def fill(engine: sa.Engine, *, count: bool = True) -> None:
    """Many tasks, most of which have ended; PostgreSQL has counted them, as it does once a minute, unless told otherwise."""
    now = dt.datetime.now(dt.UTC)
    rows = [
        *(_row(now, number, TaskState.SUCCESS, now) for number in range(ENDED)),
        *(_row(now, number, TaskState.FAILURE, now) for number in range(ENDED // 200)),
        *(_row(now, number, TaskState.REVOKED, now) for number in range(ENDED // 200)),
        *(_row(now, number, TaskState.PENDING, None) for number in range(WAITING)),
        *(_row(now, number, TaskState.STARTED, None) for number in range(ACTIVE)),
    ]
    with engine.begin() as connection:
        connection.execute(sa.insert(Task), rows)
        if count and engine.dialect.name == "postgresql":
            connection.exec_driver_sql("ANALYZE task")


def _row(now: dt.datetime, number: int, state: TaskState, ended_at: dt.datetime | None) -> dict[str, Any]:
    asked = now - dt.timedelta(seconds=number)
    return {
        "id": uuid.uuid4(),
        "name": CLEANUP_OLD_NOTIFICATIONS,
        "queue": "default",
        "arguments": {"days_old": 30},
        "state": state,
        "created_at": asked,
        "run_after": asked,
        "ended_at": ended_at and asked,
        "lease_until": now if state == TaskState.STARTED else None,
        "lock_key": f"asset:{number % 50}" if ended_at and number % 10 == 0 else None,
        "dedupe_key": f"job:{number}" if ended_at and number % 10 == 1 else None,
    }


@contextmanager
def seen(engine: sa.Engine) -> Iterator[list[str]]:
    """The plans of the statements about tasks that are executed meanwhile, but for those that add one."""
    plans: list[str] = []
    explain = "EXPLAIN QUERY PLAN" if engine.dialect.name == "sqlite" else "EXPLAIN"

    def note(_: sa.Connection, cursor: Any, statement: str, parameters: Any, __: Any, many: bool) -> None:
        if "task" in statement and not statement.startswith("INSERT"):
            parameters = parameters[0] if many else parameters
            rows = cursor.connection.cursor().execute(f"{explain} {statement}", parameters).fetchall()
            plans.append("\n".join(str(row[-1]) for row in rows))

    sa.event.listen(engine, "before_cursor_execute", note)
    try:
        yield plans
    finally:
        sa.event.remove(engine, "before_cursor_execute", note)
