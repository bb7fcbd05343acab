"""P16: a worker whose clock is wrong doubles nothing and loses nothing.

What is off is the clock that Python and its libraries ask, the broker's heartbeat among them. SQLite asks the machine, and
all that use one file are on one machine: leases cannot be skewed with it. PostgreSQL has a clock of its own.
"""

import time
from collections import Counter
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database
from shared.models.task import TaskState
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.flow import doors

SKEW = 600
"""Seconds that a worker's clock is ahead, or behind."""


def skew_is_tolerated(bench: Bench, size: int) -> Iterator[Figure]:
    """`size` tasks for three workers, one of them ahead and one behind; some last longer than a heartbeat of the broker."""
    bench.scheduler()
    workers = [
        bench.worker(FAULT_CLOCK=str(seconds), VEDETTE_WORKER_THREADS="1") for seconds in (0, SKEW, -SKEW)
    ]
    assert bench.until(lambda: len(bench.journal.of("ready")) >= len(workers)), "all workers start"
    time.sleep(1.0)  # until they listen
    tasks = []
    for number in range(size):
        seconds = 12.0 if number % 10 == 9 else bench.dice.uniform(0.05, 1.0)
        tasks.append(str(bench.ask("sleep", seconds)))
        time.sleep(bench.dice.uniform(0.0, 0.1))
    ended = bench.drain()
    rows = bench.tasks()
    with database.reading(bench.sessions) as session:
        effects = Counter(str(each) for each in session.scalars(sa.select(doors.DONE.c.task_id)))
    shares = Counter(each["pid"] for each in bench.journal.of("began"))
    lost = [each for each in tasks if rows[each].state != TaskState.SUCCESS or effects[each] == 0]
    doubled = [each for each, number in effects.items() if number > 1]
    losses = sum(rows[each].losses for each in tasks)
    yield Figure(
        "P16",
        "0 doubled commits, 0 lost",
        f"{size} tasks, {len(workers)} workers, one {SKEW // 60} minutes ahead and one behind",
        f"{len(doubled)} doubled, {len(lost)} lost, {losses} leases lost; "
        f"tasks begun by each: {', '.join(str(each) for each in sorted(shares.values()))}",
        ended and not doubled and not lost and not losses and len(shares) == len(workers),
    )
