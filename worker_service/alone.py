"""The process of one suspect (`python -m worker_service.alone APP TASK EPOCH`); its worker keeps the lease and watches it."""

import importlib
import signal
import sys
import traceback
import uuid

import structlog
from dramatiq import Retry

from worker_service import lifeline
from worker_service.isolation import UNABLE, UNLOADED
from worker_service.tasks import Frame

log = structlog.get_logger(__name__)


def main() -> None:
    """See one task through that the worker claimed, and end: 0 when the row tells what came of it."""
    app, task_id, epoch = sys.argv[1:]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the worker, which passes it on
    try:
        frame: Frame = importlib.import_module(app).frame
    except Exception:
        traceback.print_exc()  # what would make a line of the log of it may be what is missing
        sys.exit(UNLOADED)
    signal.signal(signal.SIGTERM, lambda *_: frame.stop())
    lifeline.watch()
    lifeline.stay_awake()
    try:
        frame.resume(uuid.UUID(task_id), int(epoch))
    except Retry:
        pass  # there is no message that could wait: the sweeper rings when it is due
    except Exception:  # the database is away, say; the lease decides
        log.exception("suspect_not_settled", task_id=task_id)
        sys.exit(UNABLE)


if __name__ == "__main__":
    main()
