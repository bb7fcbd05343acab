"""Cancel network scans in the middle, kill workers under them, and look for what stayed behind.

    python -m tests.faults.network [--times 50] [--kills 5] [--database sqlite] [--seed 7]

A scan of 4,096 addresses of the loopback runs on a real worker with a real nmap; after a random pause it is cancelled as
the API would. Measured is the time from the request until the run is `cancelled` and no nmap is left, dead and unreaped
ones included. With --kills the worker is killed instead, and its nmap must go with it.
"""

import argparse
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.models.finding import Finding
from shared.models.scan import Run, RunStatus, Scan, ScannerKind
from tests.builders import add_scan, wait_for
from tests.faults.servers import DATABASES, servers
from tests.flow.processes import SCHEDULER, WORKER, Process, running
from tests.nowhere import NOWHERE

OPTIONS = {"targets": ["127.16.0.0/20"], "ports": "top-1000", "timing": "polite"}
"""Far more than is done before anybody cancels."""


def nmaps(worker: Process) -> list[int]:
    """The nmap processes of a worker: running, or dead and not reaped."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,ppid=,comm="], capture_output=True, check=True, text=True
    ).stdout
    parents = {worker.popen.pid, *worker.children()}
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    return [int(pid) for pid, parent, name in rows if name.startswith("nmap") and int(parent) in parents]


def running_nmaps(pids: list[int]) -> list[int]:
    """Those of them that run, whoever their parent is now."""
    listing = subprocess.run(
        ["ps", "-eo", "pid=,stat=,comm="], capture_output=True, check=True, text=True
    ).stdout
    rows = [line.split(maxsplit=2) for line in listing.splitlines()]
    return [
        int(pid)
        for pid, state, name in rows
        if int(pid) in pids and name.startswith("nmap") and state[0] != "Z"
    ]


@dataclass
class Torment:
    """Starts scans of one definition, and disturbs them."""

    sessions: Sessions
    start_worker: Callable[[], Process]
    random: random.Random

    def __post_init__(self) -> None:
        with database.transaction(self.sessions) as session:
            self.scan_id = add_scan(session, ScannerKind.NETWORK, options=OPTIONS).id

    def start(self, worker: Process) -> tuple[Run, list[int]]:
        """A run whose nmap works."""
        with database.transaction(self.sessions) as session:
            run = run_lifecycle.start(session, session.get_one(Scan, self.scan_id), None)
        pids = wait_for(lambda: nmaps(worker), what="nmap to start")
        time.sleep(self.random.uniform(0.0, 1.5))
        return run, pids

    def run(self, run_id: uuid.UUID) -> Run:
        with database.reading(self.sessions) as session:
            return session.get_one(Run, run_id)

    def cancel(self, worker: Process) -> tuple[float, float]:
        """Cancel a run in its middle; seconds until nmap was gone, and until the run was cancelled."""
        run, _ = self.start(worker)
        begun = time.monotonic()
        with database.transaction(self.sessions) as session:
            task_lifecycle.request_cancel(session, run.task_id)
        wait_for(lambda: not nmaps(worker), what="nmap to end")
        gone = time.monotonic() - begun
        wait_for(lambda: self.run(run.id).status == RunStatus.CANCELLED, what="the run to be cancelled")
        assert not nmaps(worker)
        return gone, time.monotonic() - begun

    def kill(self) -> float:
        """Kill a worker under its nmap; seconds until nmap was gone. The run is cancelled then, with no worker alive."""
        worker = self.start_worker()
        run, pids = self.start(worker)
        begun = time.monotonic()
        worker.kill()
        wait_for(lambda: not running_nmaps(pids), what="nmap to end with its worker")
        gone = time.monotonic() - begun
        with database.transaction(self.sessions) as session:
            task_lifecycle.request_cancel(session, run.task_id)
        wait_for(lambda: self.run(run.id).status == RunStatus.CANCELLED, what="the run to be cancelled")
        return gone

    def findings(self) -> int:
        with database.reading(self.sessions) as session:
            return session.scalar(sa.select(sa.func.count()).select_from(Finding)) or 0


def told(what: str, seconds: list[float]) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"  {what}: min {low:.2f} s, median {middle:.2f} s, max {high:.2f} s (n={len(seconds)})"


def main() -> int:
    """Run it; 1 when something was left behind, or a cancel took nmap longer than 2 s."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.network", description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--database", choices=DATABASES, default="sqlite")
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    with ExitStack() as stack:
        engine, environment, folder = stack.enter_context(servers(options.database))
        settings = {**environment, **NOWHERE, "VEDETTE_WORKER_PROCESSES": "1", "VEDETTE_LEASE_SECONDS": "5"}
        sessions = database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
        stack.enter_context(running(SCHEDULER, settings, folder))
        torment = Torment(
            sessions,
            lambda: stack.enter_context(running(WORKER, settings, folder)),
            random.Random(options.seed),
        )
        worker = torment.start_worker()
        cancels = [torment.cancel(worker) for _ in range(options.times)]
        worker.terminate()
        kills = [torment.kill() for _ in range(options.kills)]
        findings = torment.findings()
    gone = [seconds for seconds, _ in cancels]
    print(
        f"{options.database}, seed {options.seed}: {len(cancels)} cancels, {len(kills)} kills, {findings} findings"
    )
    if cancels:
        print(told("cancel to no nmap left", gone))
        print(told("cancel to the run cancelled", [seconds for _, seconds in cancels]))
    if kills:
        print(told("worker killed to no nmap left", kills))
    kept = all(seconds < 2 for seconds in gone) and not findings
    print("every promise was kept" if kept else "A PROMISE WAS BROKEN")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
