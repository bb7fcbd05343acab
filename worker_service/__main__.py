"""The worker process (`python -m worker_service [QUEUE ...]`): Dramatiq's own command with our settings."""

import os
import sys

from shared.settings import Settings
from shared.tasks import QUEUES


def main() -> None:
    """Become `dramatiq worker_service.app`; queues may be named, all of them is the default."""
    queues = sys.argv[1:]
    if unknown := set(queues) - set(QUEUES):
        sys.exit(f"no such queue: {', '.join(sorted(unknown))} (there are {', '.join(QUEUES)})")
    settings = Settings()
    command = [sys.executable, "-m", "dramatiq", "worker_service.app"]
    command += ["--processes", str(settings.worker_processes), "--threads", str(settings.worker_threads)]
    command += ["--worker-shutdown-timeout", "20000", "--skip-logging"]
    if queues:
        command += ["--queues", *queues]
    os.environ.setdefault(
        "dramatiq_queue_prefetch", "1"
    )  # a prefetched message waits for a thread that is busy
    os.execv(sys.executable, command)  # noqa: S606  # a fixed argument list


if __name__ == "__main__":
    main()
