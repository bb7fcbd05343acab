"""P9 and P10: losing Redis loses nothing, and a restart of the database is survived."""

import time
from collections.abc import Iterator

import redis

from tests.faults import load
from tests.faults.bench import Bench, Client
from tests.faults.figures import Figure
from tests.faults.servers import percentile

AWAY_SECONDS = (1.0, 5.0, 20.0)
"""How long Redis is away, in turn."""
SHORT_AWAY = (1.0,)
"""The same in the suite."""
LAST_AWAY = 3.0
"""How long the database is away the last time."""
LONGEST_ANSWER = 5.0
"""Seconds that a start or a read may take while Redis is away."""


def _under_load(bench: Bench) -> Client:
    _, client = bench.api()
    bench.scheduler()
    return client


def redis_lost(bench: Bench, size: int) -> Iterator[Figure]:
    """Wipe Redis, or kill it and bring it back empty, `size` times under load."""
    client = _under_load(bench)
    worker = bench.worker()
    periods = SHORT_AWAY if size < len(AWAY_SECONDS) else AWAY_SECONDS
    away, waits, flushed = [0.0], [], 0
    with bench.supervised(worker), load.load([client]):
        for number in range(size):
            load.pause(bench, 1.0, 3.0)
            if number % 2:
                bench.journal.note("flushed")
                bench.valkey.client.flushall()
                flushed += 1
                continue
            seconds = periods[number // 2 % len(periods)]
            bench.journal.note("redis killed", seconds=seconds)
            since = time.time()
            bench.valkey.kill()
            time.sleep(seconds)
            waits += load.seconds_of(bench, since, time.time())
            bench.valkey.start()
            bench.journal.note("redis back")
            away.append(seconds)
        time.sleep(1.0)
    ended = bench.drain()
    verdict = load.judge(bench)
    slowest = percentile(waits, 1.0)
    wrong = verdict.wrong + ["no answer"] * verdict.silent + ["503"] * verdict.refused
    yield Figure(
        "P9",
        "0 lost; reads and starts keep working",
        f"{size - flushed} kills (away up to {max(away):.0f} s), {flushed} FLUSHALL, "
        f"{verdict.acknowledged} writes acknowledged",
        f"{len(verdict.lost) + verdict.unended} lost, {len(wrong)} requests failed; "
        f"{len(waits)} answers while it was away, p95 {percentile(waits, 0.95):.2f} s, max {slowest:.2f} s",
        ended
        and verdict.kept
        and not wrong
        and bool(waits)
        and slowest <= LONGEST_ANSWER
        and _answers(bench),
        "; ".join(wrong[:2]),
    )


def _answers(bench: Bench) -> bool:
    try:
        return bool(bench.valkey.client.ping())
    except redis.RedisError:
        return False


def database_restarts(bench: Bench, size: int) -> Iterator[Figure]:
    """Stop the database as a crash would, and start it again, `size` times under load; the last time not at once."""
    client = _under_load(bench)
    worker = bench.worker(FAULT_PACE="0.2")
    assert bench.postgres is not None
    with bench.supervised(worker), load.load([client]):
        for number in range(size):
            load.pause(bench, 1.0, 3.0)
            bench.journal.note("database stopped")
            bench.postgres.stop("immediate")
            time.sleep(LAST_AWAY if number == size - 1 else 0.0)
            bench.postgres.start()
            bench.journal.note("database started")
        time.sleep(1.0)
    ended = bench.drain()
    verdict = load.judge(bench)
    lost = len(verdict.lost) + verdict.unended
    yield Figure(
        "P10",
        "0 acknowledged writes lost; only 503 with Retry-After",
        f"{size} immediate restarts, {verdict.acknowledged} writes acknowledged",
        f"{lost} lost; {verdict.refused} answers 503 with Retry-After, {len(verdict.wrong)} other failures, "
        f"{verdict.silent} without answer",
        ended and verdict.kept and not verdict.silent,
        "; ".join(verdict.wrong[:2]),
    )
