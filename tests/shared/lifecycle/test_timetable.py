"""Periodic jobs are asked for when they are due: once, whatever schedulers do and miss."""

import dataclasses
import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle.timetable import Job, ask_due
from shared.models.periodic_job import PeriodicJob
from shared.models.task import Task, TaskState
from shared.schedules import next_time
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, SYNC_NVD_UPDATES
from tests.builders import ago, at_once, change

DAILY = Job("15 3 * * *", CLEANUP_OLD_NOTIFICATIONS, {"days_old": 30})
SIX_HOURLY = Job("40 */6 * * *", SYNC_NVD_UPDATES, {"days_back": 7, "full": False})
JOBS = (DAILY, SIX_HOURLY)


@pytest.fixture
def look(sessions):
    """Look once, as a scheduler does; how many jobs were asked for."""

    def look(*jobs):
        with database.transaction(sessions) as session:
            return ask_due(session, jobs or JOBS)

    return look


@pytest.fixture
def due(sessions, look):
    """The jobs as known here, due since so long."""

    def due(**delta):
        look()
        with database.transaction(sessions) as session:
            session.execute(sa.update(PeriodicJob).values(next_run_at=ago(sessions, **delta)))

    return due


def asked(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Task).order_by(Task.name)).all()


def rows(sessions):
    with database.reading(sessions) as session:
        return {row.name: row for row in session.scalars(sa.select(PeriodicJob))}


def end(sessions):
    for task in asked(sessions):
        change(sessions, task.id, state=TaskState.SUCCESS, ended_at=ago(sessions))


def test_a_job_that_is_new_is_due_at_its_next_time(sessions, look):
    assert look() == 0
    now = ago(sessions)
    for job in JOBS:
        assert rows(sessions)[job.contract].next_run_at == next_time(job.cron, "UTC", now)
    assert asked(sessions) == []


def test_a_job_that_is_new_may_be_due_sooner_than_at_its_next_time(sessions, look):
    soon = dataclasses.replace(DAILY, cron="0 0 1 1 *", first_after=dt.timedelta(minutes=10))
    late = dataclasses.replace(SIX_HOURLY, first_after=dt.timedelta(days=1))
    assert look(soon, late) == 0
    now, found = ago(sessions), rows(sessions)
    assert found[late.contract].next_run_at == next_time(late.cron, "UTC", now)
    assert dt.timedelta(minutes=9) < found[soon.contract].next_run_at - now <= dt.timedelta(minutes=10)
    with database.transaction(sessions) as session:
        session.execute(sa.update(PeriodicJob).values(next_run_at=ago(sessions, seconds=1)))
    assert look(soon) == 1
    assert rows(sessions)[soon.contract].next_run_at == next_time(soon.cron, "UTC", now)


def test_a_job_that_is_due_is_asked_for_with_its_arguments(sessions, due, look):
    due(seconds=1)
    assert look() == 2
    assert [(task.name, task.arguments) for task in asked(sessions)] == [
        (job.contract, job.arguments) for job in JOBS
    ]


def test_it_is_asked_for_once_after_any_downtime(sessions, due, look):
    due(days=40)
    assert look() == 2
    end(sessions)
    assert look() == 0
    assert len(asked(sessions)) == 2
    assert all(row.next_run_at > ago(sessions) for row in rows(sessions).values())


def test_it_is_asked_for_again_at_its_next_time(sessions, due, look):
    due(seconds=1)
    look()
    end(sessions)
    due(seconds=1)
    assert look() == 2
    assert len(asked(sessions)) == 4


def test_it_is_not_asked_for_beside_itself(sessions, due, look):
    due(seconds=1)
    look()
    due(seconds=1)
    look()
    assert len(asked(sessions)) == 2


def test_of_many_schedulers_one_asks(sessions, due, look):
    for _ in range(5):
        due(seconds=1)
        assert sum(at_once([look] * 4)) == 2
        end(sessions)
    assert len(asked(sessions)) == 10


def test_many_schedulers_begin_at_once(sessions, look):
    assert at_once([look] * 4) == [0] * 4
    assert set(rows(sessions)) == {job.contract for job in JOBS}


def test_a_changed_line_of_the_timetable_counts_from_now_on(sessions, look):
    look()
    hourly = Job("0 * * * *", DAILY.contract, DAILY.arguments)
    assert look(hourly) == 0
    row = rows(sessions)[DAILY.contract]
    assert (row.cron, row.next_run_at) == (hourly.cron, next_time(hourly.cron, "UTC", ago(sessions)))
    assert row.next_run_at - ago(sessions) <= dt.timedelta(hours=1)


def test_a_line_that_changed_while_it_was_due_is_still_asked_for(sessions, due, look):
    due(hours=1)
    assert look(Job("0 * * * *", DAILY.contract, DAILY.arguments)) == 1


def test_a_look_that_fails_leaves_the_job_due(sessions, due, look):
    due(seconds=1)

    def look_and_fail():
        with database.transaction(sessions) as session:
            ask_due(session, JOBS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        look_and_fail()
    assert asked(sessions) == []
    assert look() == 2


def test_a_row_that_another_scheduler_holds_is_left_to_it(engine, due, look):
    due(seconds=1)
    if engine.dialect.name == "sqlite":
        return  # it has one writer at a time: the second waits, and finds nothing due
    with engine.begin() as other:
        other.execute(sa.select(PeriodicJob).where(PeriodicJob.name == DAILY.contract).with_for_update())
        assert look() == 1
    assert look() == 1
