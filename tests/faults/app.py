"""The worker's app with the doors of the tests beside its own, poison among them, and with the faults that were planned.

A line of the journal tells that the process is ready, that a handler begins, and that it has what is to be committed.
`FAULT_POINT` plans an end (see `points`); `FAULT_PACE` makes every stage of a task take that many seconds, with checkpoints
on the way; `FAULT_CLOCK` sets the process's clock off by that many seconds.
"""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.faults import points, poison_doors
from tests.faults.journal import write
from tests.flow.doors import DOORS
from worker_service import actors, tasks
from worker_service.app import broker, frame
from worker_service.tasks import Door

__all__ = ["broker"]

PACE = float(os.environ.get("FAULT_PACE", "0"))
JOURNAL = Path(os.environ[points.JOURNAL])


def _slowly(self: tasks.Work, stage: str, current: int, total: int | None = None) -> None:
    report(self, stage, current, total)
    end = time.monotonic() + PACE
    while (left := end - time.monotonic()) > 0:
        self.raise_if_cancelled()
        time.sleep(min(0.02, left))


def _told(door: Door) -> Door:
    """The door, telling when its handler begins and when it has what is to be committed."""

    def handler(work: tasks.Work, **arguments: Any) -> tasks.Effect:
        facts = {"task": work.task_id, "epoch": work.epoch, "pid": os.getpid()}
        write(JOURNAL, "began", **facts)
        effect = door.handler(work, **arguments)
        write(JOURNAL, "computed", **facts)
        return effect

    return replace(door, handler=handler)


actors.declare(broker, frame, (*DOORS, *poison_doors.DOORS))
for name, door in list(frame.doors.items()):
    frame.doors[name] = _told(door)
if points.POINT in os.environ:
    points.install(frame.sessions.kw["bind"], points.from_environment())
    del os.environ[points.POINT]  # planned for this process, not for what it starts
if PACE:
    report = tasks.Work.progress
    tasks.Work.progress = _slowly  # type: ignore[method-assign]
if "FAULT_CLOCK" in os.environ:
    clock = time.time
    time.time = lambda: clock() + int(os.environ["FAULT_CLOCK"])
write(JOURNAL, "ready", pid=os.getpid())
