"""The scheduler process (`python -m worker_service.scheduler`): periodiq's timetable beside the sweeper.

periodiq gives up when Redis is away at a tick and is then started again; the sweeper, which matters more, runs in a thread
of its own and never waits for it.
"""

import signal
import sys
import threading
import time
from types import FrameType

import periodiq
import structlog

from shared import doorbell, enrichment
from worker_service.app import broker, frame, settings
from worker_service.schedule import timetable_of
from worker_service.sweeper import Sweeper

log = structlog.get_logger(__name__)

RESTART_SECONDS = 5.0


def main() -> None:
    """Sweep and tick until SIGTERM or SIGINT."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    stop = threading.Event()
    sweeper = threading.Thread(target=_sweep, args=(stop,), name="sweeper")
    sweeper.start()
    log.info("scheduler_started", sweep_seconds=settings.sweep_seconds)
    try:
        while True:
            _tick()
            time.sleep(RESTART_SECONDS)
    finally:
        stop.set()
        sweeper.join()
        log.info("scheduler_stopped")


def _end(_number: int, _frame: FrameType | None) -> None:
    sys.exit()


def _sweep(stop: threading.Event) -> None:
    redis = doorbell.connect(settings.redis_url, doorbell.RING_SECONDS)
    sweeper = Sweeper(
        frame.sessions,
        lambda queue: doorbell.waiting(redis, queue),
        settings.mirror_stale_after,
        timetable_of(settings),
        enrichment.switched_on(settings),
    )
    while not stop.wait(settings.sweep_seconds):
        sweeper.sweep()


def _tick() -> None:
    """Follow the timetable, for as long as periodiq can."""
    actors = [actor for actor in broker.actors.values() if "periodic" in actor.options]
    timetable = periodiq.Scheduler(actors)
    try:
        timetable.schedule()
        timetable.loop()
    except Exception as error:  # it says so, and is started again
        log.warning("timetable_broken", error=str(error))


if __name__ == "__main__":
    main()
