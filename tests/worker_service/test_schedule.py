import dramatiq
import pytest
import sqlalchemy as sa
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries
from periodiq import PeriodiqMiddleware

from shared import database, tasks
from shared.models.task import Task, TaskState
from tests.builders import ago, at_once, change
from worker_service import schedule


@pytest.fixture
def tick(sessions):
    """Do what a tick of the timetable does."""
    broker = StubBroker(middleware=[Retries(), PeriodiqMiddleware()])
    schedule.declare(broker, sessions)
    actor: dramatiq.Actor = broker.get_actor(f"ask_{tasks.CLEANUP_OLD_NOTIFICATIONS}")
    return actor.fn


def asked(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Task).order_by(Task.created_at)).all()


def test_a_tick_asks_for_the_work(sessions, tick):
    tick()
    (task,) = asked(sessions)
    assert (task.name, task.arguments) == (tasks.CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30})


def test_ticks_of_several_schedulers_ask_once(sessions, tick):
    assert at_once([tick] * 4) == [None] * 4
    assert len(asked(sessions)) == 1


def test_a_second_tick_after_the_work_is_done_asks_no_more(sessions, tick):
    tick()
    change(sessions, asked(sessions)[0].id, state=TaskState.SUCCESS, ended_at=ago(sessions))
    tick()
    assert len(asked(sessions)) == 1


def test_the_next_days_tick_asks_again(sessions, tick):
    tick()
    done = {
        "state": TaskState.SUCCESS,
        "ended_at": ago(sessions, hours=23),
        "created_at": ago(sessions, hours=23),
    }
    change(sessions, asked(sessions)[0].id, **done)
    tick()
    assert len(asked(sessions)) == 2


def test_every_job_asks_for_what_the_contract_names():
    for job in schedule.TIMETABLE:
        assert set(job.arguments) == tasks.CONTRACTS[job.contract].arguments
