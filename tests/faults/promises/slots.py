"""P12: a schedule fires once per slot, however many schedulers there are and die, and once after downtime."""

import datetime as dt
import threading
import time
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database, schedules
from shared.database import Sessions
from shared.models.scan import Run, RunStatus, Scan
from tests.faults import scans
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.flow.processes import Process

SCHEDULERS = 4
SCANS = 20
"""Scans that have a slot at the same time."""
KILL_SECONDS = 5.0
OUTAGE = dt.timedelta(hours=6)
CRON = "*/5 * * * *"


def once_per_slot(bench: Bench, size: int) -> Iterator[Figure]:
    """`size` slots of scans come due while schedulers die, then everything is down for six hours.

    Slots come sooner than on the wall: the times in the rows are moved back, since a schedule knows no more than them.
    """
    count = min(SCANS, size)
    ids = [target.scan_id for target in scans.add_targets(bench, count)]
    bench.worker()
    schedulers = [bench.scheduler() for _ in range(SCHEDULERS)]
    stop = threading.Event()
    killer = threading.Thread(target=_kill_now_and_then, args=(bench, schedulers, stop))
    killer.start()
    rounds = -(-size // count)
    fired = _slots(bench, ids, rounds)
    stop.set()
    killer.join()
    doubled = sum(max(0, number - rounds) for number in fired)
    kept = sum(min(number, rounds) for number in fired)
    caught_up = _outage(bench, ids, schedulers, fired)
    kills = len(bench.journal.of("killed"))
    yield Figure(
        "P12",
        "every slot once, 0 doubled, 1 catch-up",
        f"{rounds * count} slots, {SCHEDULERS} schedulers, {kills} kills; {OUTAGE.seconds // 3600} h of outage with "
        f"{OUTAGE // dt.timedelta(minutes=5)} slots for each of {count} scans",
        f"{kept} of {rounds * count} slots, {doubled} doubled, {min(caught_up)} to {max(caught_up)} catch-ups a scan",
        kept == rounds * count and not doubled and set(caught_up) == {1},
    )


def _kill_now_and_then(bench: Bench, schedulers: list[Process], stop: threading.Event) -> None:
    while not stop.wait(KILL_SECONDS):
        victim = bench.dice.choice(schedulers)
        bench.kill(victim)
        bench.restart(victim)


def _slots(bench: Bench, ids: list[str], rounds: int) -> list[int]:
    """Let every scan come due `rounds` times; how many runs each has then."""
    for number in range(1, rounds + 1):
        _come_due(bench.sessions, ids, dt.timedelta(0))
        assert bench.until(lambda n=number: min(_ended_runs(bench, ids)) >= n), f"slot {number} fires"
    time.sleep(1.0)  # for a second one of the last slot
    return _counts(bench, ids)


def _outage(bench: Bench, ids: list[str], schedulers: list[Process], before: list[int]) -> list[int]:
    """Nobody schedules for six hours; how many runs each scan has had when somebody does again."""
    for scheduler in schedulers:
        bench.kill(scheduler)
    _come_due(bench.sessions, ids, OUTAGE)
    for scheduler in schedulers:
        bench.restart(scheduler)
    bench.until(lambda: min(_counts(bench, ids)[i] - before[i] for i in range(len(ids))) >= 1, 60.0)
    bench.drain()
    time.sleep(3.0)  # for a burst
    bench.drain()
    return [after - first for after, first in zip(_counts(bench, ids), before, strict=True)]


def _come_due(sessions: Sessions, ids: list[str], since: dt.timedelta) -> None:
    """Move the scans' next time back, to now or to `since` ago."""
    with database.transaction(sessions) as session:
        now = database.now(session)
        schedules.next_time(CRON, "UTC", now)
        for scan in session.scalars(sa.select(Scan)):
            if str(scan.id) in ids:
                scan.cron, scan.timezone, scan.next_run_at = CRON, "UTC", now - since


def _counts(bench: Bench, ids: list[str]) -> list[int]:
    found = scans.runs(bench)
    return [len(found.get(each, ())) for each in ids]


def _ended_runs(bench: Bench, ids: list[str]) -> list[int]:
    found = scans.runs(bench)
    return [sum(run.status == RunStatus.COMPLETED for run in found.get(each, _NONE)) for each in ids]


_NONE: tuple[Run, ...] = ()
