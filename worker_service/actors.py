"""The actors: one per entry of the contract. Each answers its doorbell with the work of its queue whose turn it is."""

from collections.abc import Callable, Iterable

import dramatiq

from shared import tasks
from worker_service.handlers import (
    affected,
    deliveries,
    enrichment,
    housekeeping,
    notifications,
    scans,
    served_feeds,
    summaries,
)
from worker_service.handlers.nvd import feeds, sync
from worker_service.tasks import Door, Frame

MINUTE = 60.0
HOUR = 60 * MINUTE
GRACE = MINUTE
"""After its time is up a task may come to a checkpoint by itself; then Dramatiq interrupts its thread."""


DOORS = (
    Door(tasks.EXECUTE_VULNERABILITY_SCAN, scans.execute, HOUR),
    Door(tasks.SYNC_NVD_UPDATES, sync.sync, 12 * HOUR),
    Door(tasks.IMPORT_NVD_FEED, feeds.import_feed, 6 * HOUR),
    Door(tasks.SYNC_KEV, enrichment.sync_kev, HOUR),
    Door(tasks.SYNC_EPSS, enrichment.sync_epss, HOUR),
    Door(tasks.BUILD_NVD_FEEDS, served_feeds.build, HOUR),
    Door(tasks.SEND_NOTIFICATION, notifications.send, 2 * MINUTE),
    Door(tasks.SEND_SCAN_COMPLETION, summaries.send_scan_completion, 2 * MINUTE),
    Door(tasks.START_AFFECTED_SCANS, affected.start_scans, 10 * MINUTE),
    Door(tasks.SEND_FINDINGS_NEWS, summaries.send_findings_news, 2 * MINUTE),
    Door(tasks.DELIVER_NOTIFICATION, deliveries.deliver, 2 * MINUTE),
    Door(tasks.TEST_NOTIFICATION_CHANNEL, deliveries.try_out, 2 * MINUTE),
    Door(tasks.CLEANUP_OLD_NOTIFICATIONS, housekeeping.cleanup_old_notifications, 10 * MINUTE),
)


def declare(broker: dramatiq.Broker, frame: Frame, doors: Iterable[Door] = DOORS) -> None:
    """Put an actor for every door on `broker`; a doorbell of any of them may be answered with the work of another."""
    frame.doors.update({door.contract: door for door in doors})
    for door in doors:
        queue = tasks.CONTRACTS[door.contract].queue
        dramatiq.actor(
            actor_name=door.contract,
            queue_name=queue,
            broker=broker,
            time_limit=(_longest(frame, queue) + GRACE) * 1000,
        )(_answer(frame, queue))


def _longest(frame: Frame, queue: str) -> float:
    return max(
        door.time_limit for door in frame.doors.values() if tasks.CONTRACTS[door.contract].queue == queue
    )


def _answer(frame: Frame, queue: str) -> Callable[[str], None]:
    def answer(task_id: str) -> None:  # noqa: ARG001  # the message names a task; whose turn it is the rows say
        frame.answer(queue)

    return answer
