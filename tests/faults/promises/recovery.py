"""P1 and P2: work that was accepted ends, and what a killed worker held starts again soon."""

import threading
import time
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database
from shared.models.scan import RunStatus
from shared.models.task import ACTIVE, Task
from tests.faults import points, scans
from tests.faults.bench import Bench, Client
from tests.faults.figures import Figure
from tests.faults.servers import percentile
from tests.flow.processes import Process

WORKERS = 3
SCANS_PER_KILL = 3
PAUSE = 1.2
"""Seconds between two kills, on the average: a worker needs some to start."""
PACE = "0.4"
POINTS = ("after-claim", "before-end", "after-end", "before-ask", "after-ask")
"""Where every second victim dies by itself; the others are killed from outside, at random."""


def work_ends(bench: Bench, kills: int) -> Iterator[Figure]:
    """Kill workers while scans run. The settings are the shipped ones unless the bench says otherwise."""
    number = kills * SCANS_PER_KILL
    _, client = bench.api()
    bench.scheduler()
    expected = scans.undisturbed(bench, client)
    targets = scans.add_targets(bench, number)
    workers = [bench.worker(FAULT_PACE=PACE) for _ in range(WORKERS)]
    done = threading.Event()
    asker = threading.Thread(target=_start_all, args=(bench, client, targets, kills * PAUSE, done))
    asker.start()
    for kill in range(kills):
        time.sleep(PAUSE * bench.dice.uniform(0.5, 1.5))
        victim = bench.dice.choice(_busy(bench, workers) or workers)
        _end(bench, victim, POINTS[kill // 2 % len(POINTS)] if kill % 2 else None)
        bench.restart(victim)
    for worker in workers:  # what still waits for its point
        if points.POINT in worker.environment:
            del worker.environment[points.POINT]
            bench.kill(worker)
            bench.restart(worker)
    asker.join()
    ended = bench.drain()
    yield _judge(bench, targets, expected, kills, ended)
    waits = _waits(bench)
    p95, most = percentile(waits, 0.95), percentile(waits, 1.0)
    lease = bench.environment.get("VEDETTE_LEASE_SECONDS", "15, as shipped")
    yield Figure(
        "P2",
        "p95 <= 20 s, max 45 s",
        f"{kills} kills, {len(waits)} tasks hit; lease {lease} s",
        f"p50 {percentile(waits, 0.5):.1f} s, p95 {p95:.1f} s, max {most:.1f} s",
        bool(waits) and p95 <= 20 and most <= 45,
    )


def _busy(bench: Bench, workers: list[Process]) -> list[Process]:
    """The workers that hold a task now."""
    with database.reading(bench.sessions) as session:
        held = session.scalars(sa.select(Task.worker).where(Task.state.in_(ACTIVE))).all()
    pids = {int((each or ":0").rpartition(":")[2]) for each in held}
    return [worker for worker in workers if worker.alive and pids & set(worker.group())]


def _start_all(
    bench: Bench, client: Client, targets: list[scans.Target], seconds: float, done: threading.Event
) -> None:
    """Start every scan, spread over the time of the kills."""
    for target in targets:
        answer = scans.start(client, target)
        assert answer is not None
        assert answer.status_code == 202, answer.text
        done.wait(seconds / len(targets) * 0.8)


def _end(bench: Bench, victim: Process, point: str | None) -> None:
    """Kill a worker from outside, or let the one that follows die by itself at a point of its work."""
    if points.POINT in victim.environment:
        if bench.until(lambda: not victim.alive, 0.1):
            bench.journal.note("died", module=victim.module, pid=victim.popen.pid)
        del victim.environment[points.POINT]
    bench.kill(victim)
    if point is not None:
        victim.environment[points.POINT] = f"{point}=kill:{bench.dice.randint(1, 6)}"


def _judge(
    bench: Bench, targets: list[scans.Target], expected: list[scans.Facts], kills: int, ended: bool
) -> Figure:
    """Compare with the journal: what was answered with 202 has ended, and found what it finds undisturbed."""
    accepted = {entry["path"].split("/")[3] for entry in bench.journal.of("answer", status=202)}
    runs, found = scans.runs(bench), scans.findings(bench)
    mine = [target for target in targets if target.scan_id in accepted]
    statuses = [runs[each.scan_id][-1].status if each.scan_id in runs else None for each in mine]
    over = [status in (RunStatus.COMPLETED, RunStatus.FAILED, RunStatus.CANCELLED) for status in statuses]
    same = [
        found.get(each.asset_id, frozenset())
        == (expected[each.kind] if status == RunStatus.COMPLETED else frozenset())
        for each, status in zip(mine, statuses, strict=True)
    ]
    failed = statuses.count(RunStatus.FAILED)
    struck = len(bench.journal.of("struck"))
    return Figure(
        "P1",
        "all ended, findings equal an undisturbed run",
        f"{len(mine)} scans, {kills} kills and {struck} deaths at named points",
        f"{sum(over)} of {len(mine)} ended, findings right for {sum(same)}",
        ended and len(mine) == len(targets) and all(over) and all(same),
        f"{failed} given up after {_most_losses(bench)} lost workers, without any finding" if failed else "",
    )


def _most_losses(bench: Bench) -> int:
    return max((task.losses for task in bench.tasks().values()), default=0)


def _waits(bench: Bench) -> list[float]:
    """Seconds from each kill to the next start of each task that the killed worker held."""
    starts: dict[str, list[tuple[float, int]]] = {}
    for entry in bench.journal.of("began"):
        starts.setdefault(entry["task"], []).append((entry["at"], entry["pid"]))
    deaths = [(each["at"], set(each["pids"])) for each in bench.journal.of("killed")]
    deaths += [(each["at"], {each["pid"]}) for each in bench.journal.of("struck", action="kill")]
    ends = {task_id: task for task_id, task in bench.tasks().items() if task.ended_at}
    waits = []
    for at, pids in deaths:
        for task_id, lines in starts.items():
            before = [pid for moment, pid in lines if moment <= at]
            after = [moment for moment, _ in lines if moment > at]
            if before and before[-1] in pids and not _ended_before(ends.get(task_id), at) and after:
                waits.append(after[0] - at)
    return waits


def _ended_before(task: Task | None, at: float) -> bool:
    return task is not None and task.ended_at is not None and task.ended_at.timestamp() <= at
