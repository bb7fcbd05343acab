"""How a worker process ends: it hands back what it works on, and does not outlive its master."""

from typing import Any

import dramatiq
from dramatiq.middleware import Middleware

from worker_service import lifeline
from worker_service.presence import Presence
from worker_service.tasks import Frame


class HandBack(Middleware):
    """Returns tasks to the queue when their process stops, uncounted.

    At SIGTERM every task is asked to stop at its next checkpoint: no exception is thrown into its thread from outside,
    where it could hit a commit. What has come to none by the end of Dramatiq's shutdown time-out is taken from its thread.
    """

    def __init__(self, frame: Frame) -> None:
        self.frame = frame
        self.presence = Presence()

    def after_process_boot(self, broker: dramatiq.Broker) -> None:  # noqa: ARG002  # Dramatiq's hook
        """Keep an eye on the master, and on itself, and let itself be looked after."""
        lifeline.watch()
        lifeline.stay_awake()
        self.presence.begin()

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """The process was told to stop: what ends it from now on, a second signal or a database that is away, is no crash."""
        self.presence.end()
        self.frame.stop()

    def after_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002
        """Its time is up."""
        self.frame.abandon()
