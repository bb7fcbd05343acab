"""P1 and P2: work that was accepted ends, and what a killed worker held starts again soon."""

import threading
import time
from collections import Counter
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
PACE = "0.2"
POINTS = ("after-claim", "before-end", "after-end", "before-ask", "after-ask")
"""Where every second worker that is started dies by itself; the others are killed from outside, at random."""

RESTART_PAUSE = 3.0
"""Seconds between two kills when what is looked at is the time until a task starts again, and no backlog."""
TASKS_A_SECOND = 1.0


def work_ends(bench: Bench, kills: int) -> Iterator[Figure]:
    """Kill workers while scans run, and let them die at named points. The settings are the shipped ones in a long run."""
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
        victim = _next_to_end(bench, workers)
        victim.environment.pop(points.POINT, None)
        if kill % 2:
            point = POINTS[kill // 2 % len(POINTS)]
            victim.environment[points.POINT] = f"{point}=kill:{bench.dice.randint(1, 3)}"
        bench.restart(victim)
    for worker in workers:  # what still waits for its point
        if worker.environment.pop(points.POINT, None):
            bench.kill(worker)
            bench.restart(worker)
    asker.join()
    ended = bench.drain()
    yield _judge(bench, targets, expected, kills, ended)


def _next_to_end(bench: Bench, workers: list[Process]) -> Process:
    """A worker that died at its point, or else one that was killed now: a busy one, and not one that waits for its point."""
    for worker in workers:
        if not worker.alive:
            bench.journal.note("died", module=worker.module, pid=worker.popen.pid)
            worker.kill()  # what its master left
            return worker
    free = [worker for worker in workers if points.POINT not in worker.environment]
    victim = bench.dice.choice(_busy(bench, free) or free or workers)
    bench.kill(victim)
    return victim


def starts_again(bench: Bench, kills: int) -> Iterator[Figure]:
    """Kill a busy worker every few seconds, among others that have time for what it held."""
    bench.scheduler()
    workers = [bench.worker() for _ in range(WORKERS)]
    for _ in range(kills):
        for _ in range(int(RESTART_PAUSE * TASKS_A_SECOND)):
            bench.ask("sleep", bench.dice.uniform(1.0, 5.0))
            time.sleep(bench.dice.uniform(0.5, 1.5) / TASKS_A_SECOND)
        assert bench.until(lambda: _busy(bench, workers))
        victim = bench.dice.choice(_busy(bench, workers))
        bench.kill(victim)
        bench.restart(victim)
    ended = bench.drain()
    waits = _waits(bench)
    p95, most = percentile(waits, 0.95), percentile(waits, 1.0)
    lease = bench.environment.get("VEDETTE_LEASE_SECONDS", "as shipped, 15")
    yield Figure(
        "P2",
        "p95 <= 20 s, max 45 s",
        f"{kills} kills, {len(waits)} tasks hit; lease {lease} s",
        f"p50 {percentile(waits, 0.5):.1f} s, p95 {p95:.1f} s, max {most:.1f} s",
        ended and bool(waits) and p95 <= 20 and most <= 45,
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
        "all ended, none given up, findings equal an undisturbed run",
        f"{len(mine)} scans, {kills} kills, {struck} of them at named points",
        f"{sum(over)} of {len(mine)} ended, findings right for {sum(same)}",
        ended and len(mine) == len(targets) and all(over) and all(same) and not failed,
        f"tasks by lost workers: {_by_losses(bench)}" + (f"; {failed} scans given up" if failed else ""),
    )


def _by_losses(bench: Bench) -> str:
    """How many tasks lost their worker how often."""
    losses = Counter(task.losses for task in bench.tasks().values() if task.losses)
    return ", ".join(f"{number} {times}x" for times, number in sorted(losses.items())) or "none"


def _waits(bench: Bench) -> list[float]:
    """Seconds from each kill to the next start of each task that the killed worker held."""
    starts: dict[str, list[tuple[float, int]]] = {}
    for entry in bench.journal.of("began"):
        starts.setdefault(entry["task"], []).append((entry["at"], entry["pid"]))
    deaths = [(each["at"], set(each["pids"])) for each in bench.journal.of("killed")]
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
