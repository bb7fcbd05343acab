"""Tasks that are bad for whoever works on them: they end their process, take its memory, or never end themselves."""

import os
import resource
from pathlib import Path

from shared import tasks
from shared.tasks import Contract
from tests.flow import doors
from worker_service.actors import Door
from worker_service.tasks import Work

NAME = "flow_brief_work"
"""As `flow_work`, with little time for an attempt."""
SECONDS = 2.0
ROOM = 128 * 2**20
"""Bytes that a process may grow by before there is no more memory."""
tasks.CONTRACTS[NAME] = Contract(NAME, "default", frozenset({"mode", "seconds"}))


def _leave(_work: Work, _seconds: float) -> None:
    os._exit(3)


def _exhaust(_work: Work, _seconds: float) -> None:
    """Take memory until there is none, and give it back with the exception. Meanwhile there is none for anybody here."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM, before[1]))
    taken = []
    try:
        while True:
            taken.append(bytearray(2**20))
    finally:
        taken.clear()
        resource.setrlimit(resource.RLIMIT_AS, before)


def _loop(_work: Work, _seconds: float) -> None:
    """Compute for ever, without a checkpoint."""
    while True:
        sum(range(1000))


MODES = {"leave": _leave, "exhaust": _exhaust, "loop": _loop}
doors.MODES |= MODES

DOORS = (Door(NAME, doors.work, SECONDS),)
