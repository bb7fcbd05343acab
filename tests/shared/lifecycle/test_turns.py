"""Whose turn it is in a queue."""

import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database
from shared.errors import Conflict
from shared.lifecycle import turn
from shared.lifecycle.run import start
from shared.lifecycle.turn import Claimant, Claimed, Ended, Turn
from shared.models.task import ACTIVE, ENDED, Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, EXECUTE_VULNERABILITY_SCAN
from tests import plans
from tests.builders import LEASE, add_scan, ago, ask_for, at_once, change, claimed, read

CLAIMANT = Claimant("worker-1", LEASE)
NAMES = (CLEANUP_OLD_NOTIFICATIONS, EXECUTE_VULNERABILITY_SCAN)


def take(sessions, queue="default", names=NAMES, longest_due=False):
    """As a worker does."""
    this = Turn(queue, names, longest_due)
    if sessions.kw["bind"].dialect.name == "postgresql":
        with database.driver(sessions) as driver:
            taken = turn.take(driver.execute, None, this, CLAIMANT)
        if not taken.more:
            return taken.task
    with database.transaction(sessions) as session:
        return turn.claim_next(session, this, CLAIMANT)


def drain(sessions, **how):
    return [task.id for task in iter(lambda: take(sessions, **how), None)]


@pytest.fixture
def queued(sessions):
    """Tasks with priorities, each due some seconds after the one before."""

    def queued(*priorities, **how):
        first = ago(sessions, minutes=10)
        return [
            ask_for(sessions, priority=priority, run_after=first + dt.timedelta(seconds=number), **how).id
            for number, priority in enumerate(priorities)
        ]

    return queued


def test_the_most_urgent_comes_first_and_among_equals_the_one_due_longest(sessions, queued):
    low, first, second, critical = queued(60, 40, 40, 10)
    assert drain(sessions) == [critical, first, second, low]


def test_a_turn_by_age_takes_the_one_due_longest(sessions, queued):
    low, *_ = queued(90, 10, 10)
    assert take(sessions, longest_due=True).id == low


def test_what_is_taken_is_held_like_any_claim(sessions):
    asked = ask_for(sessions)
    task = read(sessions, take(sessions).id)
    assert (task.id, task.state, task.attempt, task.epoch, task.worker) == (
        asked.id,
        TaskState.STARTED,
        1,
        1,
        "worker-1",
    )
    assert task.lease_until == task.started_at + LEASE


@pytest.mark.parametrize("state", [*ACTIVE, *ENDED])
def test_what_does_not_wait_is_passed_over(sessions, state):
    change(sessions, ask_for(sessions).id, state=state)
    assert take(sessions) is None


def test_a_retry_that_is_due_waits_its_turn_too(sessions):
    task = ask_for(sessions)
    change(sessions, task.id, state=TaskState.RETRY)
    assert take(sessions).id == task.id


def test_what_is_not_due_other_queues_and_what_the_worker_cannot_do_are_passed_over(sessions):
    ask_for(sessions, priority=1, run_after=ago(sessions, hours=-1))
    unknown = ask_for(sessions, priority=1)
    change(sessions, unknown.id, name="of_a_later_version")
    assert take(sessions) is None
    due = ask_for(sessions)
    assert take(sessions, queue="scans") is None
    assert take(sessions).id == due.id


def test_what_waits_for_a_lock_lets_others_pass(sessions):
    claimed(sessions, lock_key="mirror")
    waiting = ask_for(sessions, lock_key="mirror", priority=1)
    other = ask_for(sessions)
    assert drain(sessions) == [other.id]
    assert read(sessions, waiting.id).attempt == 0


def test_a_scan_that_somebody_started_overtakes_scheduled_ones(sessions):
    with database.transaction(sessions) as session:
        scheduled = [start(session, add_scan(session), None, trigger="schedule").task_id for _ in range(3)]
        manual = start(session, add_scan(session), None).task_id
    assert drain(sessions, queue="scans") == [manual, *scheduled]


def test_many_who_look_at_once_take_different_tasks(sessions):
    tasks = {ask_for(sessions).id for _ in range(6)}
    results = at_once([lambda: take(sessions)] * 6)
    assert not [each for each in results if not isinstance(each, Claimed)]
    assert {each.id for each in results} == tasks


def test_of_many_who_look_for_one_lock_at_once_one_gets_it(sessions):
    for _ in range(5):
        for _ in range(4):
            ask_for(sessions, lock_key="asset:1")
        results = at_once([lambda: take(sessions)] * 4)
        won = [each for each in results if isinstance(each, Claimed)]
        assert len(won) == 1
        assert all(each is None or isinstance(each, Conflict) for each in results if each not in won)
        with database.transaction(sessions) as session:
            session.execute(sa.delete(Task))


POSTGRESQL = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


def end_and_take(sessions, task, result=None):
    ended, this = Ended(task.id, task.epoch, result), Turn("default", NAMES)
    with database.driver(sessions) as driver:
        return turn.take(driver.execute, ended, this, CLAIMANT)


@POSTGRESQL
def test_the_end_of_one_task_takes_the_next(sessions):
    first, second = ask_for(sessions), ask_for(sessions)
    taken = end_and_take(sessions, take(sessions), {"removed": 3})
    assert (taken.ended, taken.task.id) == (True, second.id)
    row, following = read(sessions, first.id), read(sessions, second.id)
    assert (row.state, row.result, row.epoch, row.lease_until) == (TaskState.SUCCESS, {"removed": 3}, 2, None)
    assert row.ended_at is not None
    assert (following.state, following.worker, following.attempt) == (TaskState.STARTED, "worker-1", 1)
    last = end_and_take(sessions, taken.task)
    assert (last.ended, last.task) == (True, None)
    assert read(sessions, second.id).result is None


@pytest.mark.parametrize(
    "change_of_hands",
    [
        {"epoch": 7},
        {"state": TaskState.REVOKED},
        {"cancel_requested_at": dt.datetime(2026, 1, 1, tzinfo=dt.UTC)},
    ],
    ids=["lease lost", "ended", "cancelled"],
)
@POSTGRESQL
def test_what_cannot_be_ended_takes_nothing(sessions, change_of_hands):
    ask_for(sessions)
    waiting = ask_for(sessions)
    task = take(sessions)
    change(sessions, task.id, **change_of_hands)
    before = read(sessions, task.id)
    taken = end_and_take(sessions, task)
    assert (taken.ended, taken.task) == (False, None)
    after = read(sessions, task.id)
    assert (after.state, after.epoch, after.ended_at) == (before.state, before.epoch, before.ended_at)
    assert read(sessions, waiting.id).state == TaskState.PENDING


@POSTGRESQL
def test_what_something_hangs_on_is_left_to_the_transaction_that_changes_both(sessions):
    locked = ask_for(sessions, lock_key="mirror", priority=1)
    ask_for(sessions, priority=2)
    with database.driver(sessions) as driver:
        taken = turn.take(driver.execute, None, Turn("default", NAMES), CLAIMANT)
    assert (taken.task, taken.more) == (None, True)
    assert take(sessions).id == locked.id


@pytest.mark.parametrize(("longest_due", "index"), [(False, "ix_task_urgent"), (True, "ix_task_due")])
def test_an_index_finds_it_in_a_long_queue(engine, sessions, longest_due, index):
    plans.fill(engine)
    with plans.seen(engine) as seen, database.transaction(sessions) as session:
        turn.claim_next(session, Turn("default", NAMES, longest_due), CLAIMANT)
    (plan,) = seen
    assert index in plan
    assert "uq_task_lock_key" in plan
    assert "Sort" not in plan
    assert "TEMP B-TREE" not in plan
