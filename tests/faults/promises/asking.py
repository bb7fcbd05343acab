"""P3: asking for work is transactional: what was committed is done though nobody rang, what was not leaves nothing."""

import json
from collections.abc import Iterator

import sqlalchemy as sa

from shared import database
from shared.models.scan import RunStatus
from shared.models.task import Task
from shared.tasks import EXECUTE_VULNERABILITY_SCAN, QUEUES
from tests.faults import scans
from tests.faults.bench import Bench, answers
from tests.faults.figures import Figure

COMMITTED = "after-ask=kill"
ROLLED_BACK = ("before-ask=kill", "before-ask=refuse")


def committed_or_nothing(bench: Bench, size: int) -> Iterator[Figure]:
    """`size` requests whose process dies between commit and ring, and as many that are rolled back.

    Each is sent again with the same Idempotency-Key when its process died after the commit, as a client would: the answer
    must be that of the first. Those that were rolled back are not sent again.
    """
    _, client = bench.api()
    plan = [COMMITTED] * size + [ROLLED_BACK[number % 2] for number in range(size)]
    bench.dice.shuffle(plan)
    targets = scans.add_targets(bench, len(plan))
    replayed = wrong = 0
    for target, fault in zip(targets, plan, strict=True):
        key = f"key-{target.scan_id}"
        answer = scans.start(client, target, **{"X-Fault": fault, "Idempotency-Key": key})
        if fault == "before-ask=refuse":
            wrong += answer is None or answer.status_code != 503
            continue
        wrong += answer is not None
        assert bench.until(lambda: answers(client.url)), "another process of the API takes over"
        if fault == COMMITTED:
            again = scans.start(client, target, **{"Idempotency-Key": key})
            replayed += again is not None and "Idempotency-Replayed" in again.headers
    committed = [each.scan_id for each, fault in zip(targets, plan, strict=True) if fault == COMMITTED]
    ghosts = _ghosts(bench, set(committed))
    bench.worker()
    bench.scheduler()
    ended = bench.drain()
    runs = scans.runs(bench)
    done = sum([run.status for run in runs.get(each, ())] == [RunStatus.COMPLETED] for each in committed)
    ghosts += len(runs.keys() - set(committed))
    struck = len(bench.journal.of("struck"))
    yield Figure(
        "P3",
        "0 lost, 0 ghosts",
        f"{size} killed between commit and ring, {size} rolled back by a kill or a refused commit",
        f"{size - done} lost, {ghosts} ghosts; {replayed} of {size} answered again from the first commit",
        ended and done == replayed == size and not ghosts and not wrong and struck == len(plan),
        f"{wrong} answers that should not have been" if wrong else "",
    )


def _ghosts(bench: Bench, committed: set[str]) -> int:
    """Tasks of scans that were not committed, and messages for tasks that are not there."""
    with database.reading(bench.sessions) as session:
        query = sa.select(sa.func.count()).where(Task.name == EXECUTE_VULNERABILITY_SCAN)
        tasks = session.scalar(query) or 0
        known = {str(each) for each in session.scalars(sa.select(Task.id))}
    rung = {
        json.loads(each)["message_id"]
        for queue in QUEUES
        for each in bench.valkey.client.hvals(f"dramatiq:{queue}.msgs")
    }
    return tasks - len(committed) + len(rung - known)
