"""Tasks that are bad for whoever works on them: they end their process, take its memory, or never end themselves."""

import os

from shared import tasks
from shared.tasks import Contract
from tests.flow import doors
from worker_service.actors import Door
from worker_service.tasks import Work

NAME = "flow_brief_work"
"""As `flow_work`, with little time for an attempt."""
SECONDS = 2.0
tasks.CONTRACTS[NAME] = Contract(NAME, "default", frozenset({"mode", "seconds"}))


def _leave(_work: Work, _seconds: float) -> None:
    os._exit(3)


def _exhaust(_work: Work, _seconds: float) -> None:
    """Take memory until there is none (the process has a bound), then give it back with the exception."""
    taken = []
    while True:
        taken.append(bytearray(8 * 2**20))


def _loop(_work: Work, _seconds: float) -> None:
    """Compute for ever, without a checkpoint."""
    while True:
        sum(range(1000))


MODES = {"leave": _leave, "exhaust": _exhaust, "loop": _loop}
doors.MODES |= MODES

DOORS = (Door(NAME, doors.work, SECONDS),)
