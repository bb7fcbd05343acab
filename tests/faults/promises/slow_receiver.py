"""P6: a bad receiver delays no other."""

import time
import uuid
from collections.abc import Iterator

from shared import database
from shared.tasks import SEND_NOTIFICATION, ask
from tests.builders import add_channel, add_user
from tests.faults import load
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.faults.servers import percentile
from tests.receivers.http import receiving, trickle

LIMIT = 5.0
"""Seconds from asking until the healthy receiver has a message, for 95 of 100."""
PER_MESSAGE = 2
"""Messages for the receiver that trickles, for each of the other's: far more than it takes."""


def delays_no_other(bench: Bench, size: int) -> Iterator[Figure]:
    """Send `size` messages to a healthy receiver while another trickles through all that is sent to it."""
    with receiving() as slow, receiving() as healthy:
        slow.always = trickle("HTTP/1.1 200 OK\r\n", "X-Drop: y\r\n")
        with database.transaction(bench.sessions) as session:
            waiting, told = add_user(session).id, add_user(session).id
            add_channel(session, waiting, slow.url, bench.settings)
            add_channel(session, told, healthy.url, bench.settings)
        bench.scheduler()
        bench.worker(VEDETTE_WORKER_PROCESSES="2", VEDETTE_ALLOWED_DESTINATIONS="127.0.0.0/8:*")
        _tell(bench, waiting, PER_MESSAGE)
        assert bench.until(lambda: len(slow.requests) >= PER_MESSAGE), "nothing reached the slow receiver"
        waits = []
        for number in range(size):
            _tell(bench, waiting, PER_MESSAGE)
            load.pause(bench, 0.1, 0.9)
            began = time.monotonic()
            _tell(bench, told)
            if bench.until(lambda n=number: len(healthy.requests) > n):  # type: ignore[misc]
                waits.append(time.monotonic() - began)
        backlog = PER_MESSAGE * (size + 1) - len(slow.requests)
        once = len({request.headers["webhook-id"] for request in healthy.requests}) == len(healthy.requests)
    p95 = percentile(waits, 0.95)
    yield Figure(
        "P6",
        "healthy p95 <= 5 s",
        f"{size} messages to a healthy receiver, {PER_MESSAGE * (size + 1)} to one that trickles until it is cut "
        f"off after 15 s; {backlog} of those not tried yet at the end",
        f"{len(waits)} of {size} arrived once; asked to arrived p50 {percentile(waits, 0.5):.2f} s, "
        f"p95 {p95:.2f} s, max {percentile(waits, 1.0):.2f} s",
        len(waits) == size and once and p95 <= LIMIT,
    )


def _tell(bench: Bench, user_id: uuid.UUID, number: int = 1) -> None:
    with database.transaction(bench.sessions) as session:
        for _ in range(number):
            ask(
                session,
                SEND_NOTIFICATION,
                user_id=str(user_id),
                notification_type="announcement",
                title="hello",
                message="",
                priority="normal",
                entity_type=None,
                entity_id=None,
            )
