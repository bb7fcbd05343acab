"""A worker's first process (`python -m worker_service.master APP ...`): Dramatiq's own, which has a reaper beside its others.

What all of them need is read here once: they start sooner, and share the memory that it takes.
"""

import gc
import multiprocessing
import os
import sys
from pathlib import Path

from dramatiq import cli

from worker_service import actors, metrics, presence, reaper, schedule

__all__ = ["actors", "main", "schedule"]


def main() -> None:
    """Run Dramatiq with the arguments of this process."""
    sys.argv = [sys.executable, "-m", "worker_service.master", *sys.argv[1:]]  # what it runs anew at SIGHUP
    if sys.platform == "linux":
        # Python 3.14 would do otherwise: share nothing, and put a process of its own between this one and the others.
        multiprocessing.set_start_method("fork", force=True)
    gc.freeze()  # looking through what is shared would copy it
    if metrics.DIRECTORY in os.environ:  # at SIGHUP it has gone with who served it
        Path(os.environ[metrics.DIRECTORY]).mkdir(mode=0o700, exist_ok=True)
    try:
        _start_reaper()
    except OSError as error:
        print(f"Tasks of a process that dies will wait for their leases: {error}", file=sys.stderr)
    sys.exit(cli.main(cli.make_argument_parser().parse_args(sys.argv[3:])))  # type: ignore[no-untyped-call]


def _start_reaper() -> None:
    """Before all others, since one may die of its first task. When they have ended Python ends it, and waits for it: a daemon."""
    folder = presence.directory()
    os.environ[presence.DIRECTORY] = str(folder)
    multiprocessing.Process(target=reaper.watch, args=(folder,), name="reaper", daemon=True).start()


if __name__ == "__main__":
    main()
