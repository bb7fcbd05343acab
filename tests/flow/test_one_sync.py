"""Two schedulers and two workers: however many ask, one sync runs at a time, and nothing else writes the mirror beside it."""

import itertools
import json
import threading
import time

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.task import Task, TaskState
from shared.tasks import IMPORT_NVD_FEED, MIRROR, SYNC_NVD_UPDATES, Asking, ask
from tests.builders import wait_for
from tests.flow.processes import SCHEDULER
from tests.upstream.oracle import differences
from tests.upstream.records import make_records
from tests.upstream.server import API, START, Upstream, serving

KEY = "the-key"
REAL_WORKER = "worker_service"


@pytest.fixture
def upstream():
    fake = Upstream({r["id"]: r for r in make_records(5, 60, START)}, keys=frozenset({KEY}))
    fake.before = lambda _request: time.sleep(0.1)
    with serving(fake):
        yield fake


def test_one_sync_at_a_time(sessions, start, tmp_path, upstream):
    settings = {"NVD_API_URL": upstream.url + API, "NVD_FEED_URL": "off", "NVD_API_KEY": KEY}
    for module in (REAL_WORKER, REAL_WORKER, SCHEDULER, SCHEDULER):
        start(module, **settings)
    answers: set[object] = set()

    def ask_for_it() -> None:
        with database.transaction(sessions) as session:
            answers.add(ask(session, SYNC_NVD_UPDATES, days_back=7, full=False))

    askers = [threading.Thread(target=ask_for_it) for _ in range(6)]
    for asker in askers:
        asker.start()
    for number in range(3):
        path = tmp_path / f"feed-{number}.json"
        path.write_text(json.dumps({"totalResults": 0, "vulnerabilities": []}))
        with database.transaction(sessions) as session:
            ask(session, IMPORT_NVD_FEED, Asking(), path=str(path))
    for asker in askers:
        asker.join()

    def ended() -> bool:
        with database.reading(sessions) as session:
            return not session.scalars(sa.select(Task.id).where(Task.ended_at.is_(None))).all()

    wait_for(ended, 60, "the end of every task")
    with database.reading(sessions) as session:
        writing = sa.select(Task).where(Task.name.in_((SYNC_NVD_UPDATES, IMPORT_NVD_FEED)))
        tasks = session.scalars(writing.order_by(Task.started_at)).all()
        assert differences(session, upstream) == []
    assert {task.state for task in tasks} == {TaskState.SUCCESS}, [task.error for task in tasks]
    assert {task.lock_key for task in tasks} == {MIRROR}
    assert all(one.ended_at <= other.started_at for one, other in itertools.pairwise(tasks))
    syncs = [task for task in tasks if task.name == SYNC_NVD_UPDATES]
    assert {task.id for task in syncs} == answers
    assert len(syncs) == 1
    assert len(upstream.requests) == 4
