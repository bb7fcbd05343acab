"""A process that Dramatiq's master started does not outlive it, and does not hang for ever.

The master stops its processes when it is told to stop, but a SIGKILL leaves them without one; they then stop by
themselves, so that a supervisor which starts another master does not collect workers.

Code that never lets go of the interpreter (one bad regular expression) stops every thread, those that keep leases, notice
cancels and mind the time among them. Such a process ends, telling where it hangs, and is started again like any that died.
"""

import faulthandler
import multiprocessing
import os
import signal
import threading
import time

import structlog

log = structlog.get_logger(__name__)


def parent() -> int:
    """The id of the process that started this one, which may be gone already."""
    by_fork = multiprocessing.parent_process()
    return os.getppid() if by_fork is None else by_fork.pid or 0


def watch() -> None:
    """From now on, stop this process (SIGTERM) when its parent is gone."""
    threading.Thread(target=_stop_with, args=(parent(),), name="lifeline", daemon=True).start()


FROZEN_SECONDS = 30
"""How long no thread but one may get its turn."""


def stay_awake() -> None:
    """From now on, end this process when it is frozen."""
    threading.Thread(target=_put_off_the_end, name="awake", daemon=True).start()


def _put_off_the_end() -> None:
    while True:
        faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
        time.sleep(1)


def _stop_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    log.warning("master_gone", master=parent)
    os.kill(os.getpid(), signal.SIGTERM)
