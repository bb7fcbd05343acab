"""The task systems that are compared: how each is started, asked, and seen to have ended what it was asked for."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import redis
import sqlalchemy as sa
from dramatiq.brokers.redis import RedisBroker

from shared import database
from shared.database import Sessions
from shared.models.task import ENDED, Task
from tests.faults.servers import servers
from tests.flow.processes import SCHEDULER, WORKER

POSTGRESQL, CELERY = "Vedette on PostgreSQL", "Celery"
PROCESSES, THREADS = 2, 4
"""Of every worker; Celery's prefork has no threads."""
ROOT = Path(__file__).parents[2]
CELERY_PYTHON = ROOT / ".venv-bench" / "bin" / "python"
"""Celery's own environment, which `make bench` makes."""


@dataclass
class System:
    """One of them, with its servers running."""

    name: str
    asker: Sequence[str]
    worker: Sequence[str]
    ended: Callable[[], int]
    """How many tasks have ended since it was made."""
    environment: dict[str, str]
    folder: Path
    beside: Sequence[Sequence[str]] = ()
    """What runs beside its worker."""
    asked: int = field(default=0, init=False)

    @contextmanager
    def working(self) -> Iterator[psutil.Process]:
        """Its worker while the block lasts."""
        with ExitStack() as stack:
            processes = [stack.enter_context(self._running(each)) for each in (self.worker, *self.beside)]
            yield processes[0]

    @contextmanager
    def asking(self, number: int) -> Iterator["Askers"]:
        """So many askers, ready."""
        askers = Askers(self, [self._start(self.asker, subprocess.PIPE) for _ in range(number)])
        try:
            askers.wait_until_ready()
            yield askers
        finally:
            askers.end()

    @contextmanager
    def _running(self, command: Sequence[str]) -> Iterator[psutil.Process]:
        process = psutil.Process(self._start(command, subprocess.DEVNULL).pid)
        try:
            yield process
        finally:
            family = [process, *process.children(recursive=True)]
            process.terminate()
            _, alive = psutil.wait_procs(family, timeout=30)
            for each in alive:
                each.kill()

    def _start(self, command: Sequence[str], stdin: int) -> "subprocess.Popen[str]":
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                env=environment,
                cwd=self.folder,
                stdin=stdin,
                stdout=subprocess.PIPE if stdin == subprocess.PIPE else log,
                stderr=log,
                text=True,
            )


@dataclass
class Askers:
    """Processes that wait for the word."""

    system: System
    processes: list["subprocess.Popen[str]"]

    def wait_until_ready(self) -> None:
        """Each has asked for one task."""
        for process in self.processes:
            assert process.stdout is not None
            if process.stdout.readline().strip() != "ready":
                raise RuntimeError(f"{self.system.name}: {(self.system.folder / 'log').read_text()[-3000:]}")
            self.system.asked += 1

    def begin(self, each: int) -> None:
        """Have each ask for so many."""
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{each}\n")
            process.stdin.flush()
        self.system.asked += each * len(self.processes)

    def finish(self) -> float:
        """Wait until all have asked; the CPU seconds that it took them."""
        return sum(float(process.stdout.readline()) for process in self.processes if process.stdout)

    def end(self) -> None:
        """Leave none behind."""
        for process in self.processes:
            process.kill()
            process.communicate()


@contextmanager
def vedette(kind: str) -> Iterator[System]:
    """Ours, on SQLite or PostgreSQL, its scheduler beside it."""
    with servers(kind) as (engine, environment, folder):
        environment |= {
            "VEDETTE_WORKER_PROCESSES": str(PROCESSES),
            "VEDETTE_WORKER_THREADS": str(THREADS),
        }
        sessions = database.make_sessions(engine)
        yield System(
            POSTGRESQL if kind == "postgresql" else "Vedette on SQLite",
            [sys.executable, "-m", "tests.benchmarks.vedette_asking"],
            [sys.executable, "-m", WORKER],
            lambda: _ended(sessions),
            environment,
            folder,
            [[sys.executable, "-m", SCHEDULER]],
        )


def _ended(sessions: Sessions) -> int:
    with database.reading(sessions) as session:
        return session.scalar(sa.select(sa.func.count()).where(Task.state.in_(ENDED))) or 0


def bare_dramatiq(url: str, folder: Path) -> System:
    """Nothing but an actor: what its worker does not answer for is lost with Redis."""
    broker = RedisBroker(url=url)
    system = System(
        "a bare Dramatiq actor",
        [sys.executable, "-m", "tests.benchmarks.bare_dramatiq"],
        [
            *(sys.executable, "-m", "dramatiq", "tests.benchmarks.bare_dramatiq"),
            *("--processes", str(PROCESSES), "--threads", str(THREADS)),
        ],
        lambda: system.asked - broker.do_qsize("default"),
        {"REDIS_URL": url},
        folder,
    )
    return system


def bare_celery(url: str, folder: Path) -> System:
    """Celery as its documentation has it for work that matters."""
    results = f"{url}/1"
    client = redis.Redis.from_url(results)
    return System(
        CELERY,
        [str(CELERY_PYTHON), "-m", "tests.benchmarks.bare_celery"],
        [
            *(str(CELERY_PYTHON), "-m", "celery", "--app", "tests.benchmarks.bare_celery", "worker"),
            *("--pool", "prefork", "--concurrency", str(PROCESSES)),
        ],
        client.dbsize,
        {"REDIS_URL": url, "RESULTS_URL": results},
        folder,
    )
