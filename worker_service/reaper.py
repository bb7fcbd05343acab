"""Takes away at once what a process of a worker held that died, while the worker itself lives.

A lease that ran out tells only that somebody is gone. The death of one process tells more: that the plug was not pulled, and that
one of the tasks in it may be what it died of.
"""

import os
import shutil
import signal
import threading
from pathlib import Path

import structlog

from shared import database, logs
from shared.doorbell import open_doorbell
from shared.lifecycle import task as lifecycle
from shared.settings import Settings
from worker_service import lifeline, metrics, presence
from worker_service.standard_error import open_standard_error

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25


def watch(folder: Path) -> None:
    """In a process of its own: look after those of this worker until they have ended, or it is gone.

    One that dies costs its tasks their lease at once; where that fails they lose it when it is over.
    """
    stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the worker's first process, as are the others
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    anybody = False
    while not stop.is_set():
        stop.wait(LOOK_SECONDS)  # the last look is after the end of all others
        if os.getppid() != lifeline.parent():  # the worker vanished as a whole, or is about to
            break
        before, anybody = anybody, presence.anybody(folder)
        if before and not anybody:  # a worker that starts anew in the same process has another reaper
            break
        for pid in presence.dead(folder):
            _reap(presence.name(pid))
    shutil.rmtree(folder, ignore_errors=True)


def _reap(worker: str) -> None:
    settings = Settings()
    logs.configure(settings.log_format, open_standard_error())
    sessions = database.make_sessions(
        database.make_engine(settings.sqlalchemy_url), open_doorbell(settings.redis_url)
    )
    try:
        with database.transaction(sessions) as session:
            tasks = lifecycle.reap(session, worker)
    except Exception as error:
        log.warning("dead_not_reaped", worker=worker, error=str(error))
        return
    log.warning("process_died", worker=worker, tasks=[str(task.id) for task in tasks])
    for task in tasks:
        metrics.observe(task.queue, task.name, "crashed", 0.0)
