"""Numbers for Prometheus: what this process answered, and what the database says of the tasks."""

from collections.abc import Iterator

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError

from api_service.services import tasks
from shared import database
from shared.database import Sessions

log = structlog.get_logger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one process; each app has a registry of its own."""

    def __init__(self, sessions: Sessions) -> None:
        self._registry = CollectorRegistry()
        self._requests = Counter(
            "vedette_http_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "vedette_http_request_seconds",
            "Time to the answer.",
            ("method", "route"),
            registry=self._registry,
        )
        self._registry.register(_Queues(sessions))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is the rule, not the path: ids would each be a series of their own."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Queues(Collector):
    """Asked at every scrape; left out while the database is away."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """The tasks that have not ended, and how long the oldest waits."""
        open_tasks = GaugeMetricFamily(
            "vedette_tasks", "Tasks by queue and what they are about.", labels=("queue", "state")
        )
        oldest = GaugeMetricFamily(
            "vedette_oldest_pending_seconds",
            "How long the oldest due task of a queue has waited.",
            labels=("queue",),
        )
        try:
            with database.reading(self._sessions) as session:
                queues = tasks.list_queues(session)
        except SQLAlchemyError as error:
            log.warning("metrics_without_queues", error=str(error))
            return
        for queue in queues:
            for state in ("waiting", "delayed", "running", "dead"):
                open_tasks.add_metric((queue.queue, state), getattr(queue, state))
            oldest.add_metric((queue.queue,), queue.oldest_pending_seconds or 0.0)
        yield open_tasks
        yield oldest
