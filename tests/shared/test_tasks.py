import datetime as dt
import uuid

import pytest
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import IntegrityError

from shared import database
from shared.models.task import Task, TaskState
from shared.tasks import (
    CLEANUP_OLD_NOTIFICATIONS,
    CONTRACTS,
    QUEUES,
    SEND_NOTIFICATION,
    SEND_SCAN_COMPLETION,
    Asking,
    Ring,
    ask,
)
from tests.builders import add_user, ago, ask_for, at_once, change, read


@pytest.fixture
def rung():
    return []


@pytest.fixture
def sessions(engine, rung):
    return database.make_sessions(engine, lambda rings: rung.extend(rings) is None)


def count(sessions):
    with database.reading(sessions) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(Task))


def test_asking_writes_the_row_and_rings(sessions, rung):
    task = ask_for(sessions)
    row = read(sessions, task.id)
    assert (row.state, row.queue, row.priority, row.arguments) == (
        TaskState.PENDING,
        "default",
        90,
        {"days_old": 30},
    )
    assert row.run_after == row.created_at == row.rung_at
    assert rung == [Ring(task.id, CLEANUP_OLD_NOTIFICATIONS, "default")]


def test_what_is_not_due_is_not_rung_for(sessions, rung):
    task = ask_for(sessions, run_after=ago(sessions, seconds=-60))
    assert rung == []
    assert read(sessions, task.id).rung_at is None


def test_what_is_due_already_is_rung_for(sessions, rung):
    since = ago(sessions, seconds=60)
    task = ask_for(sessions, run_after=since)
    assert [ring.task_id for ring in rung] == [task.id]
    row = read(sessions, task.id)
    assert (row.run_after, row.rung_at) == (since, row.created_at)


def test_when_it_is_due_says_its_zone(sessions):
    with pytest.raises(ValueError, match="naive"):
        ask_for(sessions, run_after=dt.datetime(2026, 1, 1))  # noqa: DTZ001
    assert count(sessions) == 0


def test_how_it_is_to_be_done_and_who_asks_is_kept(sessions):
    with database.transaction(sessions) as session:
        user = add_user(session)
    how = {"priority": 7, "dedupe_key": "key '%s' :id", "lock_key": "lock", "asked_by": user.id}
    with structlog.contextvars.bound_contextvars(request_id="request-1"):
        row = read(sessions, ask_for(sessions, **how).id)
    assert {name: getattr(row, name) for name in how} == how
    assert row.request_id == "request-1"


def test_what_is_asked_for_is_at_hand_in_the_same_transaction(sessions):
    with database.transaction(sessions) as session:
        task = session.get_one(Task, ask(session, CLEANUP_OLD_NOTIFICATIONS, days_old=1))
        assert (task.history, task.lease_until, task.epoch) == ([], None, 0)
        task.error = "changed by who asked"
    assert read(sessions, task.id).error == "changed by who asked"


def test_an_unknown_name_is_a_mistake_of_the_caller(sessions):
    with pytest.raises(KeyError), database.transaction(sessions) as session:
        ask(session, "no_such_task")


@pytest.mark.parametrize("arguments", [{}, {"days_old": 1, "more": 2}, {"other": 1}])
def test_other_arguments_are_a_mistake_of_the_caller(sessions, arguments):
    with pytest.raises(TypeError, match="days_old"), database.transaction(sessions) as session:
        ask(session, CLEANUP_OLD_NOTIFICATIONS, **arguments)
    assert count(sessions) == 0


def test_asking_again_while_it_is_open_gives_the_same_task(sessions, rung):
    first = ask_for(sessions, dedupe_key="daily")
    assert ask_for(sessions, dedupe_key="daily").id == first.id
    assert len(rung) == 1
    change(sessions, first.id, state=TaskState.SUCCESS, ended_at=ago(sessions))
    assert ask_for(sessions, dedupe_key="daily").id != first.id


def test_many_who_ask_at_once_get_one_task(sessions):
    results = at_once([lambda: ask_for(sessions, dedupe_key="daily").id] * 6)
    assert len(set(results)) == 1, results
    assert count(sessions) == 1


def test_a_user_who_is_gone_is_an_error_and_no_endless_loop(sessions):
    with pytest.raises(IntegrityError):
        ask_for(sessions, dedupe_key="daily", asked_by=uuid.uuid4())
    assert count(sessions) == 0


def test_a_rollback_takes_the_task_and_its_ring_away(sessions, rung):
    def ask_and_fail():
        with database.transaction(sessions) as session:
            ask(session, CLEANUP_OLD_NOTIFICATIONS, Asking(), days_old=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ask_and_fail()
    assert (count(sessions), rung) == (0, [])


def test_every_contract_has_a_queue():
    assert {contract.queue for contract in CONTRACTS.values()} <= set(QUEUES)


def arguments_of(name, **given):
    return {**dict.fromkeys(CONTRACTS[name].arguments), **given}


@pytest.mark.parametrize(
    ("name", "given", "priority"),
    [
        (SEND_NOTIFICATION, {"priority": "critical"}, 10),
        (SEND_NOTIFICATION, {"priority": "high"}, 20),
        (SEND_NOTIFICATION, {"priority": "normal"}, 30),
        (SEND_NOTIFICATION, {"priority": "low"}, 40),
        (SEND_NOTIFICATION, {"priority": "no such priority"}, 30),
        (SEND_SCAN_COMPLETION, {"critical_count": 1, "high_count": 0}, 10),
        (SEND_SCAN_COMPLETION, {"critical_count": 0, "high_count": 1}, 20),
        (SEND_SCAN_COMPLETION, {"critical_count": 0, "high_count": 0}, 30),
    ],
)
def test_what_matters_more_to_its_reader_is_more_urgent(sessions, name, given, priority):
    with database.transaction(sessions) as session:
        asked = ask(session, name, **arguments_of(name, **given))
        assert session.get_one(Task, asked).priority == priority
        asked = ask(session, name, Asking(priority=77), **arguments_of(name, **given))
        assert session.get_one(Task, asked).priority == 77
