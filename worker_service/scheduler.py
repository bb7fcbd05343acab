"""The scheduler process (`python -m worker_service.scheduler`): periodiq's timetable beside the sweeper.

periodiq ends when Redis is away at a tick, so it runs as a child that is started again; the sweeper never waits for it.
"""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import structlog

from shared import doorbell
from worker_service.app import broker, frame, settings
from worker_service.sweeper import Sweeper

log = structlog.get_logger(__name__)

RESTART_SECONDS = 5.0


def main() -> None:
    """Sweep until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    sweeper = Sweeper(frame.sessions, lambda queue: doorbell.waiting(broker, queue))
    timetable, started = _start_timetable(), time.monotonic()
    log.info("scheduler_started", sweep_seconds=settings.sweep_seconds)
    try:
        while not stop.wait(settings.sweep_seconds):
            sweeper.sweep()
            if timetable.poll() is not None and time.monotonic() - started > RESTART_SECONDS:
                log.warning("timetable_restarted", exit_code=timetable.returncode)
                timetable, started = _start_timetable(), time.monotonic()
    finally:
        timetable.terminate()
        timetable.wait(timeout=10)
        log.info("scheduler_stopped")


def _start_timetable() -> subprocess.Popen[bytes]:
    command = Path(sys.executable).with_name(
        "periodiq"
    )  # installed beside the interpreter; it has no __main__
    return subprocess.Popen([command, "worker_service.app"])


if __name__ == "__main__":
    main()
