"""The worker's app with the doors of the tests beside its own, poison among them, and with the faults that were planned.

Every attempt that begins is a line of the journal, and so is every write that is refused because its lease is lost.
`FAULT_POINT` plans an end (see `points`), `FAULT_PACE` makes every stage of a task take that many seconds, with checkpoints
on the way, `FAULT_MEMORY` bounds the process (bytes of address space beyond what it has).
"""

import os
import resource
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
PAGE = resource.getpagesize()


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


def _bound(room: int) -> None:
    used = int(Path("/proc/self/statm").read_text().split()[0]) * PAGE
    resource.setrlimit(resource.RLIMIT_AS, (used + room, resource.RLIM_INFINITY))


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
if "FAULT_MEMORY" in os.environ:
    _bound(int(os.environ["FAULT_MEMORY"]))
