"""Work for tests, on the same frame as the real work: it sleeps, blocks, or kills its worker, and leaves marks."""

import os
import signal
import sys
import time
import uuid
from collections.abc import Callable

import sqlalchemy as sa

from shared import database, tasks
from shared.database import Sessions
from shared.models.task import Task
from shared.tasks import Asking, Contract, ask
from worker_service.tasks import Done, Door, Effect, Work

NAME = "flow_work"
SCAN = "flow_scan"
tasks.CONTRACTS |= {
    name: Contract(name, queue, frozenset({"mode", "seconds"}))
    for name, queue in ((NAME, "default"), (SCAN, "scans"))
}

_metadata = sa.MetaData()
STARTED = sa.Table(
    "flow_started",
    _metadata,
    sa.Column("task_id", sa.Uuid),
    sa.Column("at", sa.Float),
    sa.Column("pid", sa.Integer),
)
"""One row per start of a handler, committed at once."""
DONE = sa.Table("flow_done", _metadata, sa.Column("task_id", sa.Uuid), sa.Column("epoch", sa.Integer))
"""One row per committed effect."""


def create_tables(engine: sa.Engine) -> None:
    _metadata.create_all(engine)


def drop_tables(engine: sa.Engine) -> None:
    _metadata.drop_all(engine)


def ask_for(
    sessions: Sessions, mode: str = "sleep", seconds: float = 0.0, name: str = NAME, **how: object
) -> Task:
    with database.transaction(sessions) as session:
        return session.get_one(Task, ask(session, name, Asking(**how), mode=mode, seconds=seconds))


def work(work: Work, mode: str, seconds: float) -> Effect:
    if mode == "noop":
        return Done()
    with database.transaction(work.sessions) as session:
        row = {"task_id": work.task_id, "at": time.time(), "pid": os.getpid()}
        session.execute(sa.insert(STARTED), [row])
    MODES[mode](work, seconds)
    row = {"task_id": work.task_id, "epoch": work.epoch}
    return lambda session: session.execute(sa.insert(DONE), [row]) and None


def _sleep(work: Work, seconds: float) -> None:
    """A good citizen: a checkpoint every 20 ms."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0:
        work.raise_if_cancelled()
        time.sleep(min(0.02, left))


def _block(_work: Work, seconds: float) -> None:
    """One long call."""
    time.sleep(seconds)


def _kill(_work: Work, _seconds: float) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _exit(_work: Work, _seconds: float) -> None:
    sys.exit(1)


MODES: dict[str, Callable[[Work, float], None]] = {
    "noop": lambda _work, _seconds: None,
    "sleep": _sleep,
    "block": _block,
    "kill": _kill,
    "exit": _exit,
}

DOORS = (Door(NAME, work, 300.0), Door(SCAN, work, 300.0))


def starts(sessions: Sessions, task_id: uuid.UUID) -> int:
    with database.reading(sessions) as session:
        query = sa.select(sa.func.count()).select_from(STARTED).where(STARTED.c.task_id == task_id)
        return session.scalar(query) or 0


def effects(sessions: Sessions, task_id: uuid.UUID) -> list[int]:
    """The epochs under which the task's effect was committed."""
    with database.reading(sessions) as session:
        return list(session.scalars(sa.select(DONE.c.epoch).where(DONE.c.task_id == task_id)))
