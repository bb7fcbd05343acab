"""P4: a result is written once: a worker that was away for longer than its lease can commit nothing."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing

import sqlalchemy as sa

from shared import database
from shared.models.task import TaskState
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.flow import doors

AT_ONCE = 8
"""Tasks that one worker holds when it is stopped."""
SECONDS = 1.0
"""How long the call lasts in which each of them is when its worker is stopped."""


def written_once(bench: Bench, size: int) -> Iterator[Figure]:
    """Stop a worker in the middle of calls; others finish its tasks; then it wakes and tries to commit.

    The call has no checkpoint, so that the first thing that can notice is the commit itself.
    """
    bench.scheduler()
    stale = []
    while len(stale) < size:
        stale += _one_round(bench, min(AT_ONCE, size - len(stale)))
    tasks = bench.tasks()
    with database.reading(bench.sessions) as session:
        effects = session.execute(sa.select(doors.DONE)).all()
    refused = _refused(bench)
    written = {str(row.task_id) for row in effects}
    once = len(effects) == len(written) and written == set(stale)
    late = [row for row in effects if (str(row.task_id), row.epoch) in refused]
    succeeded = sum(tasks[each].state == TaskState.SUCCESS for each in stale)
    yield Figure(
        "P4",
        "the first one's commit refused, every time",
        f"{len(stale)} tasks whose worker slept past its lease",
        f"{len(refused)} of {len(stale)} refused, {succeeded} done by another, effects written twice "
        f"{len(effects) - len(written)}",
        once and succeeded == len(refused) == len(stale) and not late,
    )


def _one_round(bench: Bench, number: int) -> list[str]:
    """Let one worker sleep over `number` tasks; their ids. All of them were begun by it, and ended by another."""
    sleeper = bench.worker(VEDETTE_WORKER_THREADS=str(AT_ONCE))
    ids = [str(bench.ask("block", SECONDS)) for _ in range(number)]
    assert bench.until(lambda: len(_begun(bench, ids)) == number), "the first worker begins all of them"
    pids = {each["pid"] for each in _begun(bench, ids).values()}
    _stop(bench, pids)
    bench.journal.note("stopped", pids=sorted(pids))
    other = bench.worker(VEDETTE_WORKER_THREADS=str(AT_ONCE))
    assert bench.drain(), "another worker ends all of them"
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    bench.journal.note("woken", pids=sorted(pids))
    bench.until(lambda: len({t for t, _ in _refused(bench)} & set(ids)) == number, 20.0)
    time.sleep(0.2)
    bench.kill(sleeper)
    other.terminate()
    return ids


def _stop(bench: Bench, pids: set[int]) -> None:
    """Stop processes, but not amid a write to SQLite: whoever holds its only lock holds up everybody until it wakes."""
    while True:
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        if bench.kind != "sqlite" or _writable(bench):
            return
        for pid in pids:
            os.kill(pid, signal.SIGCONT)
        time.sleep(0.05)


def _writable(bench: Bench) -> bool:
    with closing(sqlite3.connect(str(bench.engine.url.database), timeout=1.0)) as connection:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        return True


def _begun(bench: Bench, ids: list[str]) -> dict[str, dict[str, object]]:
    return {each["task"]: each for each in bench.journal.of("began") if each["task"] in ids}


def _refused(bench: Bench) -> set[tuple[str, int]]:
    """The tasks, with the epoch they were held under, whose result was there to commit and was refused."""
    computed = {(each["task"], each["epoch"]) for each in bench.journal.of("computed")}
    logs = [process.log.read_text(errors="replace") for process in bench.processes if process.log.exists()]
    lines = [json.loads(line) for log in logs for line in log.splitlines() if '"task_lease_lost"' in line]
    return computed & {(each["task_id"], each["epoch"]) for each in lines}
