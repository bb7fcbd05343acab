"""What looks for tasks finds them by an index, however many have ended."""

import re
import uuid

import pytest
import sqlalchemy as sa

from api_service.paging import PageRequest
from api_service.services import tasks
from shared import database, enrichment, served_feeds
from shared.lifecycle import task as lifecycle
from shared.models.enrichment import Source
from shared.models.mirror import SnapshotCounter
from shared.models.task import ACTIVE, UNDONE, WAITING, Task, TaskState
from shared.tasks import SYNC_KEV, ask
from tests import plans
from tests.builders import ask_for, claim, claimed
from worker_service import sweeper

PAGE = PageRequest(page=1, page_size=20)


def follow_the_mirror(session):
    session.add(SnapshotCounter(id=1, number=2, followed=1))
    session.flush()
    sweeper.follow_the_mirror(session)


LOOKS = {
    "overdue cancels": sweeper.end_overdue_cancels,
    "leases": sweeper.expire_leases,
    "lost messages": lambda session: sweeper.ring_again(session, "default", 0),
    "the mirror is behind": follow_the_mirror,
    "old tasks": sweeper.forget_ended,
    "sources": lambda session: enrichment.ask_if_never_read(session, tuple(Source)),
    "feeds": lambda session: served_feeds.is_asked_for(session, "year"),
    "the same work": lambda session: [ask(session, SYNC_KEV) for _ in range(2)],
    "queues": tasks.list_queues,
    "dead letters": lambda session: tasks.list_dead(session, "default", page=PAGE),
    **{
        f"list of {state}": lambda session, state=state: tasks.list_tasks(session, page=PAGE, state=state)
        for state in (*WAITING, *ACTIVE, *UNDONE)
    },
}
"""What the sweeper does every few seconds, and what people look at, by name."""


def scanned(plan):
    """Whether a plan reads all tasks: SQLite names an index where it walks along one, the primary key's being no help."""
    return re.search(r"Seq Scan on task|SCAN task(?!.* USING (COVERING )?INDEX (ix|uq)_)", plan)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_no_look_reads_all_tasks(engine, sessions, look):
    plans.fill(engine)
    with plans.seen(engine) as seen, database.transaction(sessions) as session:
        look(session)
    assert seen
    assert not [plan for plan in seen if scanned(plan)]


def test_who_lets_go_of_a_lock_finds_who_waits_for_it_by_an_index(engine, sessions):
    plans.fill(engine)
    task = claimed(sessions, lock_key="asset:7")
    waiting = ask_for(sessions, lock_key="asset:7")
    with plans.seen(engine) as seen, database.transaction(sessions) as session:
        held = lifecycle.guard(session, task.id, task.epoch)
        lifecycle.succeed(session, held, None)
    assert session.info["rings"][0].task_id == waiting.id
    assert not [plan for plan in seen if scanned(plan)]
    assert claim(sessions, waiting.id)


def test_what_the_release_before_asks_with_is_understood(sessions):
    """While a new release is rolled out the former one asks on the new schema."""
    names = (
        "id, name, queue, arguments, priority, state, attempt, losses, history, epoch, run_after, created_at"
    )
    values = ":id, 'n', 'default', '{}', 50, 'PENDING', 0, 0, '[]', 0, :now, :now"
    conflict = "ON CONFLICT (dedupe_key) WHERE ended_at IS NULL DO NOTHING"
    statement = sa.text(f"INSERT INTO task ({names}) VALUES ({values}) {conflict}")
    with database.transaction(sessions) as session:
        asked = {"id": uuid.uuid4().hex, "now": "2026-01-01 00:00:00.000000"}
        assert session.execute(statement, asked).rowcount == 1


@pytest.mark.parametrize("state", TaskState)
def test_a_list_of_tasks_in_a_state_is_whole(engine, sessions, state):
    plans.fill(engine)
    with database.reading(sessions) as session:
        there = session.scalar(sa.select(sa.func.count()).where(Task.state == state))
        page = tasks.list_tasks(session, page=PAGE, state=state)
    assert page.total == there
    assert {task.state for task in page.items} <= {state}
