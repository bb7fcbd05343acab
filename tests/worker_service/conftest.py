from collections.abc import Callable, Iterator

import pytest

from shared import database
from shared.database import Sessions
from shared.settings import Settings
from shared.tasks import Ring
from tests.builders import claimed
from tests.upstream.records import make_records
from tests.upstream.server import START, Upstream, serving
from worker_service.tasks import Frame, Work


@pytest.fixture
def rung() -> list[Ring]:
    """What was rung for."""
    return []


@pytest.fixture
def sessions(engine, rung) -> Sessions:
    return database.make_sessions(engine, lambda rings: rung.extend(rings) is None)


@pytest.fixture
def frame(sessions: Sessions, settings: Settings) -> Frame:
    return Frame(sessions, settings.with_changes(lease_seconds=1.0))


@pytest.fixture
def work(sessions: Sessions, settings: Settings) -> Work:
    """A claimed task, for handlers that are called without the frame."""
    task = claimed(sessions)
    return Work(task.id, task.epoch, sessions, settings)


@pytest.fixture
def commit(sessions: Sessions) -> Callable[..., object]:
    """Run an effect in a transaction, as the frame does."""

    def commit(effect):
        with database.transaction(sessions) as session:
            return effect(session)

    return commit


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    """A fake NVD with 220 records, its feeds published."""
    fake = Upstream({record["id"]: record for record in make_records(1, 220, START)})
    fake.publish_feeds()
    with serving(fake):
        yield fake
