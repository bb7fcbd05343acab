"""A process that Dramatiq's master started does not outlive it.

The master stops its processes when it is told to stop, but a SIGKILL leaves them without one; they then stop by
themselves, so that a supervisor which starts another master does not collect workers.
"""

import os
import signal
import threading
import time

import structlog

log = structlog.get_logger(__name__)


def watch() -> None:
    """From now on, stop this process (SIGTERM) when the one that is its parent now is gone."""
    threading.Thread(target=_stop_with, args=(os.getppid(),), name="lifeline", daemon=True).start()


def _stop_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    log.warning("master_gone", master=parent)
    os.kill(os.getpid(), signal.SIGTERM)
