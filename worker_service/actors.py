"""The actors: one per entry of the contract. Each answers its doorbell with its handler, inside the task frame."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import dramatiq

from shared import tasks
from worker_service.handlers import housekeeping, notifications, scans
from worker_service.handlers.nvd import feeds, sync
from worker_service.tasks import Effect, Frame

MINUTE = 60.0
HOUR = 60 * MINUTE
GRACE = MINUTE
"""After its time is up a task may come to a checkpoint by itself; then Dramatiq interrupts its thread."""


@dataclass(frozen=True)
class Door:
    """What answers one contract entry, and for how long (seconds) one attempt may go on."""

    contract: str
    handler: Callable[..., Effect]
    time_limit: float


DOORS = (
    Door(tasks.EXECUTE_VULNERABILITY_SCAN, scans.execute, HOUR),
    Door(tasks.SYNC_NVD_UPDATES, sync.sync, 12 * HOUR),
    Door(tasks.IMPORT_NVD_FEED, feeds.import_feed, 6 * HOUR),
    Door(tasks.SEND_NOTIFICATION, notifications.send, 2 * MINUTE),
    Door(tasks.SEND_SCAN_COMPLETION, notifications.send_scan_completion, 2 * MINUTE),
    Door(tasks.CLEANUP_OLD_NOTIFICATIONS, housekeeping.cleanup_old_notifications, 10 * MINUTE),
)


def declare(broker: dramatiq.Broker, frame: Frame, doors: Iterable[Door] = DOORS) -> None:
    """Put an actor for every door on `broker`."""
    for door in doors:
        dramatiq.actor(
            _answer(frame, door),
            actor_name=door.contract,
            queue_name=tasks.CONTRACTS[door.contract].queue,
            broker=broker,
            time_limit=(door.time_limit + GRACE) * 1000,
        )


def _answer(frame: Frame, door: Door) -> Callable[[str], None]:
    def answer(task_id: str) -> None:
        frame.run(task_id, door.handler, door.time_limit)

    return answer
