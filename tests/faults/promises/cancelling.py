"""P14: cancel works: for what waits, for what runs, and with no worker alive."""

import time
from collections.abc import Iterator

from shared.models.scan import Run, RunStatus
from tests.faults import scans
from tests.faults.bench import Bench, Client
from tests.faults.figures import Figure
from tests.faults.servers import percentile

LIMITS = {"queued": 1.0, "running": 2.0, "no worker": 30.0}
"""Seconds in which each kind ends, from the request to the end in the row."""
BUSY = 1.0
"""More seconds that a busy machine may need before the answer to a request."""
AT_ONCE = 8


def cancelled_in_time(bench: Bench, size: int) -> Iterator[Figure]:
    """Cancel `size` scans: a third that wait, a third in the middle of their work, a third whose worker was killed."""
    _, client = bench.api()
    bench.scheduler()
    shares = {kind: max(1, size // len(LIMITS)) for kind in LIMITS}
    took = {
        "queued": _queued(bench, client, shares["queued"]),
        "running": _running(bench, client, shares["running"]),
        "no worker": _without_worker(bench, client, shares["no worker"]),
    }
    left = sum(len(pids) for pids in _left(bench))
    runs = [run for each in scans.runs(bench).values() for run in each]
    cancelled = sum(run.status == RunStatus.CANCELLED for run in runs)
    found = len(scans.findings(bench))
    late = [kind for kind, values in took.items() if max(values) > LIMITS[kind] + BUSY]
    times = "; ".join(
        f"{kind} {min(values):.2f} / {percentile(values, 0.5):.2f} / {max(values):.2f} s"
        for kind, values in took.items()
    )
    yield Figure(
        "P14",
        "ended in time (at once, 2 s, 30 s with no worker), 0 processes left",
        f"{sum(shares.values())} cancels",
        f"{cancelled} of {len(runs)} cancelled, min / median / max: {times}; {left} processes left",
        cancelled == len(runs) == sum(shares.values()) and not late and not left and not found,
        f"late: {', '.join(late)}" if late else "",
    )


def _start(client: Client, targets: list[scans.Target]) -> None:
    for target in targets:
        client.must("POST", f"/vulnerabilities/scans/{target.scan_id}/start")


def _cancel(bench: Bench, client: Client, targets: list[scans.Target]) -> list[float]:
    """Cancel them one after another and wait for their ends; the seconds from each request to its end."""
    asked = {}
    for target in targets:
        asked[target.scan_id] = time.time()
        client.must("POST", f"/vulnerabilities/scans/{target.scan_id}/cancel")
    bench.until(lambda: all(run.ended_at for run in _latest(bench, targets)), 90.0)
    return [
        (run.ended_at.timestamp() if run.ended_at else time.time()) - asked[str(run.scan_id)]
        for run in _latest(bench, targets)
    ]


def _latest(bench: Bench, targets: list[scans.Target]) -> list[Run]:
    runs = scans.runs(bench)
    return [runs[target.scan_id][-1] for target in targets]


def _queued(bench: Bench, client: Client, number: int) -> list[float]:
    targets = scans.add_targets(bench, number)
    _start(client, targets)
    return _cancel(bench, client, targets)


def _running(bench: Bench, client: Client, number: int) -> list[float]:
    worker = bench.worker(
        FAULT_PACE="60", VEDETTE_WORKER_THREADS=str(AT_ONCE), VEDETTE_SCAN_CONCURRENCY=str(AT_ONCE)
    )
    took: list[float] = []
    while len(took) < number:
        targets = scans.add_targets(bench, min(AT_ONCE, number - len(took)))
        _start(client, targets)
        _wait_until_running(bench, targets)
        took += _cancel(bench, client, targets)
    assert worker.terminate() == 0
    return took


def _without_worker(bench: Bench, client: Client, number: int) -> list[float]:
    """All at once: what is measured is the sweeper, whose work does not grow with them."""
    threads = str(min(number, 64))
    worker = bench.worker(FAULT_PACE="60", VEDETTE_WORKER_THREADS=threads, VEDETTE_SCAN_CONCURRENCY=threads)
    targets = scans.add_targets(bench, number)
    _start(client, targets)
    _wait_until_running(bench, targets[: int(threads)])
    bench.kill(worker)
    return _cancel(bench, client, targets)


def _wait_until_running(bench: Bench, targets: list[scans.Target]) -> None:
    def running() -> bool:
        return all(run.status == RunStatus.RUNNING for run in _latest(bench, targets))

    assert bench.until(running), "the scans run"


def _left(bench: Bench) -> list[list[int]]:
    """What is alive in the groups of workers that have ended."""
    return [
        process.group()
        for process in bench.processes
        if process.module.endswith("worker") and not process.alive
    ]
