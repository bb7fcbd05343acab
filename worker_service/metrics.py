"""Numbers of the tasks for Prometheus: attempts by queue, task and outcome, and how long they took.

A worker is several processes. Each writes its numbers into memory-mapped files of one directory
(https://prometheus.github.io/client_python/multiprocess/), and one more process, `serve`, adds them up when it is asked.
`prometheus_client` looks for that directory when it is imported, so the worker's first process
makes it (`directory`). Without an
address nothing is written and nothing listens.
"""

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from typing import NoReturn

import structlog
from dramatiq.middleware import Middleware
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from shared import logs
from shared.settings import Settings
from worker_service import lifeline

log = structlog.get_logger(__name__)

DIRECTORY = "PROMETHEUS_MULTIPROC_DIR"
"""Where the library wants to be told."""

_ATTEMPTS = Counter(
    "vedette_task_attempts", "Attempts at tasks, by how they ended.", ("queue", "task", "outcome")
)
_SECONDS = Histogram(
    "vedette_task_attempt_seconds",
    "How long attempts at tasks took.",
    ("queue", "task"),
    buckets=(0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200),
)


def observe(queue: str, task: str, outcome: str, seconds: float) -> None:
    """Count one attempt that ended."""
    _ATTEMPTS.labels(queue, task, outcome).inc()
    _SECONDS.labels(queue, task).observe(seconds)


class Exposition(Middleware):
    """Has Dramatiq start one process beside its workers that serves the numbers."""

    @property
    def forks(self) -> list[Callable[[], int]]:
        """What to start."""
        return [serve]


def serve() -> NoReturn:
    """Serve the numbers of all processes of this worker until it stops, at `VEDETTE_WORKER_METRICS`.

    An address that cannot be had is a line in the log: work goes on without numbers.
    """
    settings = Settings()
    logs.configure(settings.log_format)
    lifeline.watch()
    host, port = settings.worker_metrics_address
    directory = os.environ[DIRECTORY]
    registry = CollectorRegistry()
    MultiProcessCollector(registry, path=directory)  # type: ignore[no-untyped-call]
    try:
        start_http_server(port, addr=host, registry=registry)
        log.info("metrics_served", address=settings.worker_metrics)
    except OSError as error:
        log.error("metrics_not_served", address=settings.worker_metrics, error=str(error))
    try:
        while True:
            signal.pause()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def directory() -> str:
    """A fresh directory for the numbers of one worker; `serve` removes it at its end."""
    return tempfile.mkdtemp(prefix="vedette-metrics-")
