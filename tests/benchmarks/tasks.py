"""Durable no-op tasks per second, and the time from asking to the start on an idle system."""

import time
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.models.task import ENDED, Task
from tests.benchmarks.harness import Bench, Figure
from tests.builders import wait_for
from tests.faults.servers import percentile, servers
from tests.flow import doors
from tests.flow.processes import SCHEDULER, WORKER, running

IDLE = 60
"""Tasks asked for one by one on an idle system."""
TASKS = 1000


def measure(bench: Bench) -> Iterator[Figure]:
    """Tasks a second with the asker running, and from a backlog; the time from asking to the start when idle."""
    with servers(bench.kind) as (engine, environment, folder):
        sessions = database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
        with running(SCHEDULER, environment, folder):
            with running(WORKER, environment, folder):
                _ended(sessions, _ask(sessions, 50))  # warm
                waits = [_wait(sessions) for _ in range(IDLE)]
                begin = time.monotonic()
                _ended(sessions, _ask(sessions, TASKS))
                rate = TASKS / (time.monotonic() - begin)
            ids = _ask(sessions, TASKS)
            with running(WORKER, environment, folder):
                backlog = TASKS / _drain(sessions, ids)
    about = f"one asker, 2 processes x 4 threads, {TASKS} tasks"
    yield Figure("durable no-op tasks, end to end", rate, "tasks/s", note=about)
    yield Figure("durable no-op tasks, from a backlog", backlog, "tasks/s")
    for share in (0.5, 0.95):
        name = f"ask to start on an idle system, p{share * 100:.0f}"
        yield Figure(name, percentile(waits, share) * 1000, "ms", note=f"{IDLE} asks")


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
