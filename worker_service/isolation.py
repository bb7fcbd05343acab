"""A suspect, a task whose process crashed twice, is worked on in a process of its own (`python -m worker_service.alone`).

A process that dies takes all its tasks with it, and nobody can tell which of them it was.
Of a process that works on one task while its worker goes on living, it can be told.
"""

import os
import signal
import subprocess
import sys
import threading
import uuid
from contextlib import AbstractContextManager, suppress
from typing import Protocol

from shared.errors import Stopping, VedetteError

APP = "vedette_worker_app"
"""The variable with the module that a worker's processes load, which the worker's first process sets."""
UNABLE = 75
"""Exit code (EX_TEMPFAIL) of a process that could not do its part, through no fault of the task."""
UNLOADED = 113
"""Exit code of a process that could not load the worker's code: it was replaced under a worker that runs, say. Of no meaning
elsewhere, so that no task ends its process with it: that would never count."""
OVERDUE = 124
"""Exit code of a process whose task went on when its time was up."""
LOOK_SECONDS = 0.1
GRACE_SECONDS = 10.0
"""How long a task may take to stop when its time is up, or its process to hand it back."""
PAUSE_SECONDS = 5.0
"""How long a suspect waits when its process could not begin: what kept it from that may go on for a while."""


class NotBegun(Exception):
    """The suspect's process never came to its task, through no fault of that: it is handed back, and nothing is counted."""


class Suspect(Protocol):
    """A claimed task, on which another process works."""

    task_id: uuid.UUID
    epoch: int

    def raise_if_cancelled(self) -> None:
        """Raise why the work has to stop, when it has to."""


def see_through(suspect: Suspect, lease: AbstractContextManager[None], patience: float) -> str | None:
    """Wait for the suspect's own process, keeping its `lease`; in words what it died of, None when it settled the task itself.

    Once it is to stop nobody renews the lease any more: it has `patience` seconds.

    Raises Stopping when this worker has to stop, and NotBegun; the process has ended then. Other reasons to stop the
    process finds by itself, or it is killed.
    """
    app = os.environ.get(APP, "worker_service.app")
    command = [sys.executable, "-m", "worker_service.alone", app, str(suspect.task_id), str(suspect.epoch)]
    try:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    except OSError as error:  # no memory, say, or too many processes
        raise NotBegun(f"its process could not be started: {error}") from error
    try:
        with lease:
            while not _ended(process, LOOK_SECONDS):
                suspect.raise_if_cancelled()
        return _death(process.returncode)
    except Stopping:
        process.terminate()
        _ended(process, GRACE_SECONDS)
        raise
    except VedetteError as reason:
        if _ended(process, patience):
            return None
        return f"did not stop and was killed ({reason})"
    finally:
        process.kill()
        process.wait()


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    with suppress(subprocess.TimeoutExpired):
        process.wait(seconds)
    return process.returncode is not None


def end_when_overdue(limit: float) -> None:
    """In the process of a suspect: end it when the task goes on long after its `limit` of seconds from now."""
    timer = threading.Timer(limit + GRACE_SECONDS, os._exit, (OVERDUE,))
    timer.daemon = True
    timer.start()


def _death(code: int) -> str | None:
    if code in (0, UNABLE):
        return None
    if code in (-signal.SIGTERM, -signal.SIGINT):  # it listens to them before it looks at its task
        raise NotBegun("its process was told to stop while it started")
    if code == UNLOADED:
        raise NotBegun("its process could not load the worker's code")
    if code == OVERDUE:
        return "did not stop when its time was up"
    return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
