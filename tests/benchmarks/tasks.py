"""Durable no-op tasks per second, and the time from asking to the start on an idle system, on both databases.

python -m tests.benchmarks.tasks [TASKS]
"""

import sys
import time

import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.models.task import ENDED, Task
from tests.builders import wait_for
from tests.faults.servers import DATABASES, percentile, servers
from tests.flow import doors
from tests.flow.processes import SCHEDULER, WORKER, running

IDLE = 60
"""Tasks asked for one by one on an idle system."""


def main(tasks: int = 2000) -> None:
    """Print the figures of both databases."""
    for kind in DATABASES:
        rate, backlog, waits = measure(kind, tasks)
        print(
            f"{kind}: {rate:.0f} durable no-op tasks/s end to end (one asker, 2 processes x 4 threads, {tasks} tasks), "
            f"{backlog:.0f}/s from a backlog; ask to start, idle: "
            f"p50 {percentile(waits, 0.5) * 1000:.0f} ms, p95 {percentile(waits, 0.95) * 1000:.0f} ms, "
            f"max {max(waits) * 1000:.0f} ms ({len(waits)} asks)"
        )


def measure(kind: str, tasks: int) -> tuple[float, float, list[float]]:
    """Tasks a second with the asker running, and from a backlog; seconds from asking to start when idle."""
    with servers(kind) as (engine, environment, folder):
        sessions = database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
        with running(SCHEDULER, environment, folder):
            with running(WORKER, environment, folder):
                _ended(sessions, _ask(sessions, 50))  # warm
                waits = [_wait(sessions) for _ in range(IDLE)]
                begin = time.monotonic()
                _ended(sessions, _ask(sessions, tasks))
                rate = tasks / (time.monotonic() - begin)
            ids = _ask(sessions, tasks)
            with running(WORKER, environment, folder):
                return rate, tasks / _drain(sessions, ids), waits


def _ask(sessions: Sessions, number: int) -> list[Task]:
    return [doors.ask_for(sessions, "noop") for _ in range(number)]


def _wait(sessions: Sessions) -> float:
    time.sleep(0.15)
    task = doors.ask_for(sessions, "noop")
    _ended(sessions, [task])
    with database.reading(sessions) as session:
        row = session.get_one(Task, task.id)
        assert row.started_at is not None
        return (row.started_at - row.created_at).total_seconds()


def _open(sessions: Sessions) -> int:
    with database.reading(sessions) as session:
        query = sa.select(sa.func.count()).select_from(Task).where(Task.state.not_in(ENDED))
        return session.scalar(query) or 0


def _ended(sessions: Sessions, _tasks: list[Task]) -> None:
    wait_for(lambda: _open(sessions) == 0, 300.0, "the end of all tasks")


def _drain(sessions: Sessions, tasks: list[Task]) -> float:
    """Seconds from the first start to the last end of a backlog."""
    _ended(sessions, tasks)
    with database.reading(sessions) as session:
        ids = [task.id for task in tasks]
        times = sa.select(sa.func.min(Task.started_at), sa.func.max(Task.ended_at)).where(Task.id.in_(ids))
        first, last = session.execute(times).one()
        return float((last - first).total_seconds())


if __name__ == "__main__":
    main(*map(int, sys.argv[1:2]))
