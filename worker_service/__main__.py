"""The worker process (`python -m worker_service [QUEUE ...]`): Dramatiq's own command with our settings.

Dramatiq ends, with its other processes, when one of them dies; whoever started it (a container's restart policy,
`vedette up`, systemd) starts it again.
"""

import os
import sys
from collections.abc import Sequence

from shared.nmap import program
from shared.settings import Settings
from shared.tasks import QUEUES
from worker_service import isolation, metrics

SHUTDOWN_SECONDS = 20
"""How long tasks have to come to a checkpoint after SIGTERM."""


def main() -> None:
    """Become a worker on `worker_service.app`; queues may be named, all of them is the default."""
    queues = sys.argv[1:]
    if unknown := set(queues) - set(QUEUES):
        sys.exit(f"no such queue: {', '.join(sorted(unknown))} (there are {', '.join(QUEUES)})")
    if "scans" in (queues or QUEUES) and program.find() is None:
        print(f"Network scans will fail, nothing else: {program.MISSING}", file=sys.stderr)
    become("worker_service.app", Settings(), queues)


def become(module: str, settings: Settings, queues: Sequence[str] = ()) -> None:
    """Replace this process by Dramatiq on the broker of `module`."""
    command = [sys.executable, "-m", "worker_service.master", module]
    command += ["--processes", str(settings.worker_processes), "--threads", str(settings.worker_threads)]
    command += ["--worker-shutdown-timeout", str(SHUTDOWN_SECONDS * 1000), "--skip-logging"]
    if queues:
        command += ["--queues", *queues]
    tuning: dict[str, object] = {
        isolation.APP: module,
        "dramatiq_queue_prefetch": settings.worker_threads,  # in work included; more would wait here while others idle
        "dramatiq_worker_timeout": 1000,  # ms until an idle queue is looked at even if its bell is silent
        "dramatiq_restart_delay": 1000,  # ms until the next try when Redis is away
    }
    if settings.worker_metrics:
        tuning[metrics.DIRECTORY] = metrics.directory()
    for name, value in tuning.items():
        os.environ.setdefault(name, str(value))
    os.execv(sys.executable, command)  # noqa: S606  # a fixed argument list


if __name__ == "__main__":
    main()
