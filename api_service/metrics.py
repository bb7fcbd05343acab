"""Numbers for Prometheus: what this process answered, and what the database says of tasks, findings and the mirror.

What the tasks did, by name, outcome and duration, the workers tell themselves (`worker_service.metrics`).
"""

import datetime as dt
from collections.abc import Callable, Iterator

import structlog
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from api_service.services import findings, tasks
from shared import database, mirror_health
from shared.database import Sessions
from shared.mirror_health import MirrorState

log = structlog.get_logger(__name__)

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Metrics:
    """The numbers of one process; each app has a registry of its own."""

    def __init__(self, sessions: Sessions, stale_after: dt.timedelta) -> None:
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
        self._registry.register(_Database(sessions, stale_after))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one answered request. `route` is the rule, not the path: ids would each be a series of their own."""
        method = method if method in _METHODS else "other"
        self._requests.labels(method, route, status).inc()
        self._seconds.labels(method, route).observe(seconds)

    def render(self) -> bytes:
        """Everything in Prometheus' text format."""
        return generate_latest(self._registry)


class _Database(Collector):
    """Asked at every scrape; left out while the database is away."""

    def __init__(self, sessions: Sessions, stale_after: dt.timedelta) -> None:
        self._sessions = sessions
        self._readers: tuple[Callable[[Session], Iterator[Metric]], ...] = (
            _queues,
            _findings,
            lambda session: _mirror(session, stale_after),
        )

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[Metric]:
        """All numbers that rows can tell, of one moment."""
        try:
            with database.reading(self._sessions) as session:
                families = [family for reader in self._readers for family in reader(session)]
        except SQLAlchemyError as error:
            log.warning("metrics_without_database", error=type(error).__name__)
            return
        yield from families


def _queues(session: Session) -> Iterator[Metric]:
    """The tasks that have not ended, how long the oldest waits, and how many end."""
    open_tasks = GaugeMetricFamily(
        "vedette_tasks", "Tasks by queue and what they are about.", labels=("queue", "state")
    )
    oldest = GaugeMetricFamily(
        "vedette_oldest_pending_seconds",
        "How long the oldest due task of a queue has waited.",
        labels=("queue",),
    )
    ended = GaugeMetricFamily(
        "vedette_tasks_ended_last_minute",
        "Tasks of a queue that ended in the last minute.",
        labels=("queue",),
    )
    for queue in tasks.list_queues(session):
        for state in ("waiting", "delayed", "running", "dead"):
            open_tasks.add_metric((queue.queue, state), getattr(queue, state))
        oldest.add_metric((queue.queue,), queue.oldest_pending_seconds or 0.0)
        ended.add_metric((queue.queue,), queue.ended_last_minute)
    yield from (open_tasks, oldest, ended)


def _findings(session: Session) -> Iterator[Metric]:
    open_findings = GaugeMetricFamily("vedette_findings_open", "Open findings.", labels=("severity",))
    for severity, number in findings.count_open(session).items():
        open_findings.add_metric((severity,), number)
    yield open_findings


def _mirror(session: Session, stale_after: dt.timedelta) -> Iterator[Metric]:
    """How old the news is, and which of the states the mirror is in (1 for that one)."""
    health = mirror_health.look(session, stale_after)
    state = GaugeMetricFamily(
        "vedette_mirror_state", "The state of the mirror is this one.", labels=("state",)
    )
    for each in MirrorState:
        state.add_metric((each,), float(each == health.state))
    yield state
    yield GaugeMetricFamily(
        "vedette_mirror_quarantined", "Records that could not be used.", value=health.quarantined
    )
    now = database.now(session)
    watermark = health.coverage.watermark if health.coverage else None
    for name, text, at in (
        ("newest_record_age", "Since the newest record's last modification.", health.newest_record_at),
        ("watermark_age", "Since the moment up to which the mirror is proven complete.", watermark),
    ):
        if at is not None:
            yield GaugeMetricFamily(f"vedette_mirror_{name}_seconds", text, value=(now - at).total_seconds())
