"""The worker's app with the doors of the tests beside its own, poison among them, and with the faults that were planned.

A line of the journal tells that the process is ready, that an attempt begins, that a write is refused because its lease is
lost.
`FAULT_POINT` plans an end (see `points`); `FAULT_PACE` makes every stage of a task take that many seconds, with checkpoints
on the way; `FAULT_CLOCK` sets the process's clock off by that many seconds.
"""

import os
import time
import uuid
from contextlib import AbstractContextManager
from pathlib import Path

from sqlalchemy.orm import Session

from shared.errors import LeaseLost
from shared.lifecycle import task as lifecycle
from shared.models.task import Task
from tests.faults import points, poison_doors
from tests.faults.journal import write
from tests.flow.doors import DOORS
from worker_service import actors, tasks
from worker_service.app import broker, frame

__all__ = ["broker"]

PACE = float(os.environ.get("FAULT_PACE", "0"))
JOURNAL = Path(os.environ[points.JOURNAL])


def _slowly(self: tasks.Work, stage: str, current: int, total: int | None = None) -> None:
    report(self, stage, current, total)
    end = time.monotonic() + PACE
    while (left := end - time.monotonic()) > 0:
        self.raise_if_cancelled()
        time.sleep(min(0.02, left))


def _held(self: tasks.Work) -> AbstractContextManager[None]:
    write(JOURNAL, "began", task=self.task_id, epoch=self.epoch, pid=os.getpid())
    return hold(self)


def _guard(session: Session, task_id: uuid.UUID, epoch: int) -> Task:
    try:
        return guard(session, task_id, epoch)
    except LeaseLost:
        write(JOURNAL, "refused", task=task_id, epoch=epoch, pid=os.getpid())
        raise


actors.declare(broker, frame, (*DOORS, *poison_doors.DOORS))
hold = tasks.Work.held
tasks.Work.held = _held  # type: ignore[method-assign]
guard = lifecycle.guard
lifecycle.guard = _guard
if points.POINT in os.environ:
    points.install(frame.sessions.kw["bind"], points.from_environment())
if PACE:
    report = tasks.Work.progress
    tasks.Work.progress = _slowly  # type: ignore[method-assign]
if "FAULT_CLOCK" in os.environ:
    clock = time.time
    time.time = lambda: clock() + int(os.environ["FAULT_CLOCK"])
write(JOURNAL, "ready", pid=os.getpid())
