from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from tests.flow import doors
from tests.flow.processes import SCHEDULER, WORKER, Process, running


@pytest.fixture
def environment(engine: sa.Engine, redis_url: str, tmp_path: Path) -> dict[str, str]:
    """Settings for processes on the test's database, with times that suit a test."""
    return {
        "DATABASE_URL": engine.url.render_as_string(hide_password=False),
        "REDIS_URL": redis_url,
        "VEDETTE_DATA_DIR": str(tmp_path),
        "VEDETTE_LEASE_SECONDS": "2",
        "VEDETTE_SWEEP_SECONDS": "0.3",
        "VEDETTE_WORKER_PROCESSES": "1",
        "VEDETTE_WORKER_THREADS": "4",
        "VEDETTE_LOG_FORMAT": "json",
    }


@pytest.fixture
def sessions(engine: sa.Engine, environment: dict[str, str]) -> Iterator[Sessions]:
    """Sessions that really ring, on an empty Redis, with the marks of the tests' work."""
    doorbell.connect(environment["REDIS_URL"], 5.0).flushall()
    doors.create_tables(engine)
    yield database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
    doors.drop_tables(engine)


Start = Callable[..., Process]


@pytest.fixture
def start(sessions: Sessions, environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Start a process; it ends with the test."""
    with ExitStack() as stack:

        def start(module: str, **changes: str) -> Process:
            folder = tmp_path / f"{module}-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return stack.enter_context(running(module, {**environment, **changes}, folder))

        yield start


@pytest.fixture
def worker(start: Start) -> Callable[..., Process]:
    return lambda **changes: start(WORKER, **changes)


@pytest.fixture
def scheduler(start: Start) -> Callable[..., Process]:
    return lambda **changes: start(SCHEDULER, **changes)
