"""P22: a deploy is graceful: no request fails, and no attempt is counted."""

import time
from collections import Counter
from collections.abc import Iterator

from shared.models.task import TaskState
from tests.faults import load
from tests.faults.bench import Bench, Client, answers
from tests.faults.figures import Figure
from tests.faults.front import front

APIS = 2
WORKERS = 2


def graceful(bench: Bench, size: int) -> Iterator[Figure]:
    """SIGTERM to an API or a worker, and its successor, `size` times under load.

    The APIs stand behind a balancer that passes over a port which refuses connections, and no new connection goes to an API
    that is about to be ended; requests under way there are its own to answer. Tasks are long, so that each worker holds some.
    """
    apis = [bench.api() for _ in range(APIS)]
    ports = [int(client.url.rpartition(":")[2]) for _, client in apis]
    bench.scheduler()
    workers = [bench.worker(FAULT_PACE="0.3") for _ in range(WORKERS)]
    codes: list[int] = []
    long_ones = [str(bench.ask("sleep", 3.0)) for _ in range(max(4, size))]
    with (
        front(ports) as balancer,
        load.load([Client(f"http://127.0.0.1:{balancer.port}", bench.journal)], people=4),
    ):
        for number in range(size):
            load.pause(bench, 0.2, 1.0)
            if number % 2:
                worker = workers[number // 2 % WORKERS]
                bench.journal.note("SIGTERM", module=worker.module)
                codes.append(worker.terminate(60))
                bench.restart(worker)
                continue
            process, client = apis[number // 2 % APIS]
            bench.journal.note("SIGTERM", module=process.module)
            balancer.out.add(ports[number // 2 % APIS])
            time.sleep(0.1)  # for connections that were passed on a moment ago to be accepted
            codes.append(process.terminate(60))
            bench.restart(process)
            assert bench.until(lambda c=client: answers(c.url)), "the successor answers"
            balancer.out.clear()
        time.sleep(1.0)
    ended = bench.drain()
    verdict = load.judge(bench)
    tasks = bench.tasks()
    begun = Counter(each["task"] for each in bench.journal.of("began"))
    handed_back = sum(number - 1 for number in begun.values())
    counted = [each for each, task in tasks.items() if task.attempt > 1 or task.losses]
    failed = verdict.wrong + ["503"] * verdict.refused + ["no answer"] * verdict.silent
    done = all(tasks[each].state == TaskState.SUCCESS for each in long_ones)
    yield Figure(
        "P22",
        "0 failed requests, no attempt counted",
        f"{size} SIGTERMs, half to {APIS} APIs behind a balancer, half to {WORKERS} workers; "
        f"{verdict.acknowledged} writes acknowledged",
        f"{len(failed)} failed requests, {len(counted)} attempts counted, {handed_back} tasks handed back, "
        f"{sum(code != 0 for code in codes)} exit codes other than 0",
        ended and verdict.kept and not failed and not counted and done and not any(codes),
        "; ".join(failed[:2]),
    )
