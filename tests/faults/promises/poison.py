"""P13: tasks that end their process, take its memory or never end cannot take the service down."""

import itertools
from collections import Counter
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database
from shared.models.task import ENDED, Task, TaskState
from shared.tasks import Asking, ask
from tests.faults import poison_doors
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.flow import doors

KINDS = ("kill", "leave", "exhaust", "loop")
OTHERS = 10
"""Tasks that nothing is wrong with, for each that is poison."""
MAX_STARTS = {"kill": 3, "leave": 3, "exhaust": 4, "loop": 3}
"""Starts until it is given up: two crashes among others and one by itself, or, where the task fails by itself, an attempt and
three retries."""


def poison_is_given_up(bench: Bench, size: int) -> Iterator[Figure]:
    """`size` poisonous tasks, kind by kind, among others; the worker is started again whenever it ends.

    Waits after attempts that failed are looked at, then passed over: the time in the row is moved.
    """
    bench.scheduler()
    poison = {_ask(bench, KINDS[number % len(KINDS)]): KINDS[number % len(KINDS)] for number in range(size)}
    workers = [bench.worker() for _ in range(2)]
    waits: list[float] = []
    with bench.supervised(*workers):
        others = [str(bench.ask("sleep", bench.dice.uniform(0.05, 0.5))) for _ in range(size * OTHERS)]
        ended = bench.until(lambda: _hurry(bench, set(poison), waits) == 0, max(bench.patience, 15.0 * size))
        last = str(bench.ask("sleep", 0.0))  # the service lives
        ended = bench.until(lambda: bench.tasks()[last].state in ENDED) and ended
    tasks = bench.tasks()
    starts = Counter(each["task"] for each in bench.journal.of("began"))
    for each, kind in poison.items():
        if kind == "exhaust":  # it may lose its worker to another's poison, which costs it no attempt
            starts[each] -= tasks[each].losses
    dead = [each for each in poison if tasks[each].state == TaskState.FAILURE and tasks[each].error]
    least = min([*waits, *_pauses(bench, [each for each, kind in poison.items() if kind != "exhaust"])])
    over = [f"{kind} {starts[each]}" for each, kind in poison.items() if starts[each] > MAX_STARTS[kind]]
    hurt = [each for each in [*others, last] if tasks[each].state != TaskState.SUCCESS]
    yield Figure(
        "P13",
        "at most 3 starts (4 where it fails without harm: 3 retries) with back-off, then dead with its reason; others unaffected",
        f"{size} poisonous tasks ({', '.join(KINDS)}) among {len(others)}",
        f"{len(dead)} of {size} dead with a reason, {max(starts[each] for each in poison)} starts at most, at least "
        f"{least:.1f} s between two; {len(hurt)} of {len(others)} others hurt",
        ended and len(dead) == size and not over and not hurt and least >= 1,
        "; ".join([*over[:2], *(f"other: {tasks[each].error}" for each in hurt[:1])]),
    )


def _ask(bench: Bench, mode: str) -> str:
    name = poison_doors.NAME if mode == "loop" else doors.NAME
    with database.transaction(bench.sessions) as session:
        task_id = ask(session, name, Asking(), mode=mode, seconds=0.0)
    bench.journal.note("asked", task=task_id, mode=mode)
    return str(task_id)


def _pauses(bench: Bench, ids: list[str]) -> list[float]:
    """Seconds between two starts of tasks that lose their worker."""
    found = []
    for task in ids:
        moments = sorted(each["at"] for each in bench.journal.of("began", task=task))
        found += [after - before for before, after in itertools.pairwise(moments)]
    return found


def _hurry(bench: Bench, poison: set[str], waits: list[float]) -> int:
    """Note how long each poisonous task that failed has to wait and let it wait no longer; how many tasks have not ended."""
    with database.transaction(bench.sessions) as session:
        now = database.now(session)
        waiting = sa.select(Task).where(Task.state == TaskState.RETRY, Task.run_after > now)
        for task in session.scalars(waiting.with_for_update(skip_locked=True)):
            if str(task.id) in poison:
                waits.append((task.run_after - now).total_seconds())
                task.run_after = now
        query = sa.select(sa.func.count()).select_from(Task).where(Task.state.not_in(ENDED))
        return session.scalar(query) or 0
