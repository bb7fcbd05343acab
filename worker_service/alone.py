"""The process of one suspect (`python -m worker_service.alone APP TASK EPOCH`); its worker keeps the lease and watches it."""

import faulthandler
import importlib
import signal
import sys
import threading
import time
import uuid

import structlog
from dramatiq import Retry

from worker_service import lifeline
from worker_service.isolation import UNABLE
from worker_service.tasks import Frame

log = structlog.get_logger(__name__)

FROZEN_SECONDS = 30
"""How long no other thread may get its turn: code that never lets go of the interpreter stops lease, cancel and time limit."""


def main() -> None:
    """See one task through that the worker claimed, and end: 0 when the row tells what came of it."""
    app, task_id, epoch = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which passes it on
    frame: Frame = importlib.import_module(app).frame
    signal.signal(signal.SIGTERM, lambda *_: frame.stop())
    lifeline.watch()
    threading.Thread(target=_stay_awake, name="awake", daemon=True).start()
    try:
        frame.resume(uuid.UUID(task_id), int(epoch))
    except Retry:
        pass  # there is no message that could wait: the sweeper rings when it is due
    except Exception:  # the database is away, say; the lease decides
        log.exception("suspect_not_settled", task_id=task_id)
        sys.exit(UNABLE)


def _stay_awake() -> None:
    """End this process, saying where it is, when this thread does not get its turn for too long."""
    while True:
        faulthandler.dump_traceback_later(FROZEN_SECONDS, exit=True)
        time.sleep(1)


if __name__ == "__main__":
    main()
