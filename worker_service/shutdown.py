"""How a worker process ends: it hands back what it works on, and does not outlive its master."""

import os
import signal
import threading
import time
from typing import Any

import dramatiq
import structlog
from dramatiq.middleware import Middleware

from worker_service.tasks import Frame

log = structlog.get_logger(__name__)


class HandBack(Middleware):
    """Returns tasks to the queue when their process stops, uncounted.

    At SIGTERM every task is asked to stop at its next checkpoint: no exception is thrown into its thread from outside,
    where it could hit a commit. What has come to none by the end of Dramatiq's shutdown time-out is taken from its thread.

    Dramatiq's master stops its processes when it is told to stop, but a SIGKILL leaves them without one; they then stop
    by themselves, so that a supervisor which starts another master does not collect workers.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def after_process_boot(self, broker: dramatiq.Broker) -> None:  # noqa: ARG002  # Dramatiq's hook
        """Keep an eye on the master."""
        threading.Thread(target=_stop_with, args=(os.getppid(),), name="lifeline", daemon=True).start()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """The process was told to stop."""
        self.frame.stop()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """Its time is up."""
        self.frame.abandon()


def _stop_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    log.warning("master_gone", master=parent)
    os.kill(os.getpid(), signal.SIGTERM)
