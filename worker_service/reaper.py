"""Takes away at once what a process of a worker held that died, while the worker itself lives.

A lease that ran out tells only that somebody is gone. The death of one process tells more: that the plug was not pulled, and that
one of the tasks in it may be what it died of.
"""

import multiprocessing
import os
import shutil
import signal
from multiprocessing import connection
from pathlib import Path

import structlog

from shared import database, logs
from shared.doorbell import open_doorbell
from shared.lifecycle import task as lifecycle
from shared.settings import Settings
from worker_service import metrics, presence
from worker_service.standard_error import open_standard_error

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
PATIENCE_SECONDS = 5.0
"""How long a row may be held that is to be taken: the worker ends no sooner, and is not started again before."""


def watch(folder: Path) -> None:
    """In a process of its own: look after those of this worker until it stops or is gone.

    What dies meanwhile costs its tasks their lease at once; where that fails they lose it when it is over.
    """
    told = False

    def stop(*_: object) -> None:
        nonlocal told
        told = True  # and nothing that takes a lock: what is interrupted may hold it

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for the worker's first process, as are the others
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop)
    worker = multiprocessing.parent_process()
    assert worker is not None  # noqa: S101  # it is started as a process of the worker's
    # The first process closes the sentinel, too, when it becomes another worker at SIGHUP, under the same id.
    while os.getppid() == worker.pid and worker.is_alive():  # else it vanished as a whole, or is about to
        last = told  # one more look, which is after the end of all others
        for pid in presence.dead(folder):
            _reap(presence.name(pid))
        if last:
            break
        connection.wait([worker.sentinel], LOOK_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)


def _reap(worker: str) -> None:
    try:
        _take_from(worker, Settings())
    except Exception as error:  # whatever it was, others may die yet
        log.warning("dead_not_reaped", worker=worker, error=str(error))


def _take_from(worker: str, settings: Settings) -> None:
    logs.configure(settings.log_format, open_standard_error())
    engine = database.make_engine(settings.sqlalchemy_url)
    sessions = database.make_sessions(engine, open_doorbell(settings.redis_url))
    try:
        with database.transaction(sessions) as session:
            database.wait_for_locks(session, PATIENCE_SECONDS)
            tasks = lifecycle.reap(session, worker)
    finally:
        engine.dispose()
    log.warning("process_died", worker=worker, tasks=[str(task.id) for task in tasks])
    for task in tasks:
        metrics.observe(task.queue, task.name, "crashed", 0.0)
