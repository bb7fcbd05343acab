import dramatiq
import pytest
import sqlalchemy as sa
from dramatiq.brokers.stub import StubBroker
from dramatiq.middleware import Retries
from periodiq import PeriodiqMiddleware

from shared import database, tasks
from shared.models.periodic_job import PeriodicJob
from shared.models.task import Task
from shared.settings import Settings
from tests.builders import ago, at_once
from worker_service import schedule
from worker_service.sweeper import Sweeper


@pytest.fixture
def tick(sessions):
    """Do what a tick of the timetable does."""
    broker = StubBroker(middleware=[Retries(), PeriodiqMiddleware()])
    schedule.declare(broker, sessions, schedule.TIMETABLE)
    actor: dramatiq.Actor = broker.get_actor(f"ask_{tasks.CLEANUP_OLD_NOTIFICATIONS}")
    return actor.fn


@pytest.fixture
def sweep(sessions):
    return Sweeper(sessions, lambda _queue: 0, jobs=schedule.TIMETABLE).sweep


@pytest.fixture
def due(sessions, sweep):
    """Every job is due."""
    sweep()
    with database.transaction(sessions) as session:
        session.execute(sa.update(PeriodicJob).values(next_run_at=ago(sessions, seconds=1)))


def asked(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Task.name)).all()


def test_a_tick_has_what_is_due_asked_for(sessions, due, tick):
    tick()
    assert asked(sessions) == [tasks.CLEANUP_OLD_NOTIFICATIONS]


def test_a_tick_out_of_time_changes_nothing(sessions, sweep, tick):
    sweep()
    tick()
    assert asked(sessions) == []


def test_a_sweep_asks_for_what_no_tick_came_for(sessions, due, sweep):
    sweep()
    assert sorted(asked(sessions)) == sorted(job.contract for job in schedule.TIMETABLE)


def test_ticks_and_sweeps_of_several_schedulers_ask_once(sessions, due, tick, sweep):
    assert at_once([tick, sweep] * 3) == [None] * 6
    assert sorted(asked(sessions)) == sorted(job.contract for job in schedule.TIMETABLE)


def test_every_job_asks_for_what_the_contract_names():
    for job in schedule.TIMETABLE:
        assert set(job.arguments) == tasks.CONTRACTS[job.contract].arguments


@pytest.mark.parametrize(
    ("api", "feeds", "asked"), [("off", "off", False), ("off", "http://f", True), ("http://a", "off", True)]
)
def test_the_nvd_is_asked_where_a_source_is_switched_on(api, feeds, asked):
    jobs = schedule.timetable_of(Settings().with_changes(nvd_api_url=api, nvd_feed_url=feeds))
    others = {job.contract for job in schedule.TIMETABLE} - {tasks.SYNC_NVD_UPDATES}
    assert {job.contract for job in jobs} == others | ({tasks.SYNC_NVD_UPDATES} if asked else set())


def test_the_first_sync_does_not_wait_for_hours(sessions, sweep):
    sweep()
    with database.reading(sessions) as session:
        due = session.scalar(
            sa.select(PeriodicJob.next_run_at).where(PeriodicJob.name == tasks.SYNC_NVD_UPDATES)
        )
    assert due <= ago(sessions) + schedule.FIRST_SYNC
