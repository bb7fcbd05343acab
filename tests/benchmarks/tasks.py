"""Durable no-op tasks a second: ours beside Celery and a bare Dramatiq actor, in turn; and from a start to its first line.

The same of each: some processes ask one by one, two processes work (ours and Dramatiq's with four threads each, Celery's
prefork has none), and the time runs from the first ask to the last end. Ours is a row and a ring, a claim under a lease, and an
end, each committed (on PostgreSQL the end of one with the claim of the next); Celery's is a message that is acknowledged after
the work, and a kept result; a bare actor keeps nothing.
"""

import datetime as dt
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil

from shared.cli.client import Api
from shared.cli.up import running
from shared.models.base import Base
from shared.settings import Settings
from tests.benchmarks.harness import Figure, at_least
from tests.benchmarks.systems import (
    CELERY,
    CELERY_PYTHON,
    POSTGRESQL,
    System,
    bare_celery,
    bare_dramatiq,
    vedette,
)
from tests.builders import wait_for
from tests.faults.servers import percentile, servers
from tests.valkey import running_valkey

ASKERS = 6
"""Enough that nobody waits for them: an ask of ours takes two commits' and five answers' time, mostly waiting."""
TASKS = 4800
"""In a round, of all askers together: ten seconds of work, beside which what each process does only at first weighs little."""
IDLE = 40
"""Starts on an idle system."""
ROUNDS = 3
LOOK_SECONDS = 0.05
PATIENCE = 300.0


@dataclass(frozen=True)
class Round:
    """What one system did in one round."""

    rate: float
    """Tasks a second from the first ask to the last end."""
    backlog: float
    """The same once all were asked for, from the first end to the last."""
    worker_ms: float
    """CPU of the worker for one task, in milliseconds."""
    asker_ms: float


def measure(kinds: Sequence[str]) -> Iterator[Figure]:
    """Every system in turn, some rounds; medians."""
    with ExitStack() as stack:
        ours = [stack.enter_context(vedette(kind)) for kind in kinds]
        others = []
        for make in (bare_dramatiq, bare_celery):
            if make is bare_celery and not CELERY_PYTHON.exists():
                continue  # `make bench` makes it
            url = stack.enter_context(running_valkey())
            others.append(make(url, Path(stack.enter_context(tempfile.TemporaryDirectory()))))
        systems = [*ours, *others]
        rounds: dict[str, list[Round]] = {system.name: [] for system in systems}
        for _ in range(ROUNDS):
            for system in systems:
                rounds[system.name].append(_round(system))
    yield from _figures(rounds)
    for kind in kinds:
        yield from _from_start_to_first_line(kind)


def _round(system: System) -> Round:
    with system.working() as worker, system.asking(ASKERS) as askers:
        _wait(system)
        cpu, begin = _cpu(worker), time.perf_counter()
        askers.begin(TASKS // ASKERS)
        asked = askers.finish()
        _wait(system)
        rate, worked = TASKS / (time.perf_counter() - begin), _cpu(worker) - cpu
    with system.asking(ASKERS) as askers:
        askers.begin(TASKS // ASKERS)
        askers.finish()
    with system.working():
        backlog = _drain(system)
    return Round(rate, backlog, worked / TASKS * 1000, asked / TASKS * 1000)


def _wait(system: System) -> None:
    until = time.monotonic() + PATIENCE
    while system.ended() < system.asked:
        if time.monotonic() > until:
            raise TimeoutError(f"{system.name}: {system.ended()} of {system.asked} tasks have ended")
        time.sleep(LOOK_SECONDS)


def _drain(system: System) -> float:
    """The rate at which a backlog goes, from the first end that is seen on: starting a worker takes seconds."""
    before = system.ended()
    while (first := system.ended()) == before:
        time.sleep(LOOK_SECONDS)
    begin = time.perf_counter()
    _wait(system)
    return (system.asked - first) / (time.perf_counter() - begin)


def _cpu(worker: psutil.Process) -> float:
    """CPU seconds of a worker with all its processes."""
    times = [each.cpu_times() for each in (worker, *worker.children(recursive=True))]
    return sum(each.user + each.system for each in times)


def _figures(rounds: dict[str, list[Round]]) -> Iterator[Figure]:
    about = f"{TASKS} tasks, median of {ROUNDS} rounds"
    for name, what in (("rate", f"{ASKERS} askers, asked to ended"), ("backlog", "from a backlog")):
        every = {system: [getattr(each, name) for each in done] for system, done in rounds.items()}
        for system, rates in every.items():
            note = f"{min(rates):,.0f} to {max(rates):,.0f}; {about}"
            yield Figure(f"{system}, {what}", statistics.median(rates), "tasks/s", note=note)
        if POSTGRESQL in every and CELERY in every:
            ratio = statistics.median(every[POSTGRESQL]) / statistics.median(every[CELERY])
            yield at_least(f"{POSTGRESQL} against {CELERY}, {what}", ratio, "times", 1.5)
    for system, done in rounds.items():
        worker = statistics.median(each.worker_ms for each in done)
        asker = statistics.median(each.asker_ms for each in done)
        note = f"{asker:.2f} ms of who asks; servers not counted"
        yield Figure(f"{system}, CPU of the worker for a task", worker, "ms", note=note)


def _from_start_to_first_line(bench_kind: str) -> Iterator[Figure]:
    """From `POST .../start`, over HTTP, to the actor's first line in the worker's log, on an idle system."""
    with ExitStack() as stack:
        engine, _, folder = stack.enter_context(servers(bench_kind))
        url = engine.url.render_as_string(hide_password=False)
        if bench_kind == "sqlite":
            url = f"sqlite:///{folder / 'whole.sqlite3'}"
        else:
            Base.metadata.drop_all(engine)
        engine.dispose()
        settings = Settings().with_changes(data_dir=folder / "whole", database_url=url, port=0)
        vedette = stack.enter_context(running(settings, threading.Event()))
        api = Api(vedette.api_url, vedette.token)
        asset = api.post("/assets", {"name": "idle", "kind": "application"})["id"]
        api.call("PUT", f"/assets/{asset}/inventory", json={"components": [{"name": "left-pad"}]})
        scan = api.post("/vulnerabilities/scans", {"name": "idle", "asset_id": asset, "scanner": "inventory"})
        log = folder / "whole" / "logs" / "worker.log"
        waits = [_start(api, scan["id"], log) for _ in range(IDLE)]
    for share in (0.5, 0.95):
        name = f"POST .../start to the actor's first line, idle, {bench_kind}, p{share * 100:.0f}"
        yield Figure(name, percentile(waits, share) * 1000, "ms", note=f"{IDLE} starts")


def _start(api: Api, scan_id: str, log: Path) -> float:
    begin = time.time()
    run_id = api.post(f"/vulnerabilities/scans/{scan_id}/start")["run_id"]
    while api.get(f"/vulnerabilities/scans/{scan_id}/status")["scan_status"] != "completed":
        time.sleep(0.05)
    time.sleep(0.3)  # what followed it is over as well
    wait_for(
        lambda: _first_line(log, run_id) is not None, 10.0, "the line, which Dramatiq's master passes on"
    )
    return (_first_line(log, run_id) or begin) - begin


def _first_line(log: Path, run_id: str) -> float | None:
    """When the actor of a run wrote its first line."""
    for line in reversed(log.read_text().splitlines()):
        if run_id in line and "task_started" in line:
            return dt.datetime.fromisoformat(json.loads(line)["timestamp"]).timestamp()
    return None
