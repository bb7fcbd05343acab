"""One thread watches over all leases of a process."""

import datetime as dt
import threading
import time
import uuid

import pytest
from sqlalchemy.exc import SQLAlchemyError

from shared import database
from shared.errors import Cancelled, LeaseLost, Transient
from shared.lifecycle import task as lifecycle
from shared.models.task import Task, TaskState
from tests.builders import claimed, read, wait_for
from worker_service.leases import Lease, Leases
from worker_service.tasks import Work


@pytest.fixture
def leases(sessions) -> Leases:
    return Leases(sessions, 1.0)


def lease_for(task, interrupted, limit=60.0) -> Lease:
    return Lease(task.id, task.epoch, limit, lambda reason: interrupted.update({task.id: type(reason)}))


def watchers():
    return [each for each in threading.enumerate() if each.name == "leases"]


def test_many_leases_are_one_threads_work_and_it_ends_with_them(leases, sessions):
    tasks = [claimed(sessions) for _ in range(3)]
    before = {task.id: task.lease_until for task in tasks}
    wait_for(lambda: not watchers())
    with (
        leases.held(lease_for(tasks[0], {})),
        leases.held(lease_for(tasks[1], {})),
        leases.held(lease_for(tasks[2], {})),
    ):
        for task in tasks:
            wait_for(lambda task=task: read(sessions, task.id).lease_until != before[task.id])
        assert len(watchers()) == 1
    wait_for(lambda: not watchers(), 5.0)
    until = read(sessions, tasks[0].id).lease_until
    with leases.held(lease_for(tasks[0], {})):  # and begins again
        wait_for(lambda: read(sessions, tasks[0].id).lease_until > until)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_row_that_somebody_holds_lets_no_other_lease_run_out(leases, sessions):
    busy, other = claimed(sessions), claimed(sessions)
    interrupted = {}
    with (
        leases.held(lease_for(busy, interrupted)),
        leases.held(lease_for(other, interrupted)),
        database.transaction(sessions) as session,
    ):
        lifecycle.guard(session, busy.id, busy.epoch)  # as an effect that takes long
        began = time.monotonic()
        seen = {read(sessions, other.id).lease_until}
        while time.monotonic() - began < 1.5:
            seen.add(read(sessions, other.id).lease_until)
            time.sleep(0.05)
    assert len(seen) > 2
    assert interrupted == {}


def test_each_lease_hears_what_concerns_it(leases, sessions):
    cancelled, lost, overdue, fine = (claimed(sessions) for _ in range(4))
    interrupted = {}
    with (
        leases.held(lease_for(cancelled, interrupted)),
        leases.held(lease_for(lost, interrupted)),
        leases.held(lease_for(overdue, interrupted, limit=0.3)),
        leases.held(lease_for(fine, interrupted)),
    ):
        with database.transaction(sessions) as session:
            lifecycle.request_cancel(session, cancelled.id)
            lifecycle.expire(session, session.get_one(Task, lost.id, with_for_update=True))
        wait_for(lambda: len(interrupted) == 3)
    assert interrupted == {cancelled.id: Cancelled, lost.id: LeaseLost, overdue.id: Transient}


def test_what_does_not_stop_when_its_time_is_up_is_taken_away_as_from_a_crash(leases, sessions):
    task, heard = claimed(sessions), []
    with leases.held(Lease(task.id, task.epoch, 0.3, heard.append)):
        wait_for(lambda: read(sessions, task.id).crashes == 1)
        assert isinstance(heard[0], Transient)
        wait_for(lambda: isinstance(heard[-1], LeaseLost))
    now = read(sessions, task.id)
    assert (now.state, now.losses, now.lease_until) == (TaskState.PENDING, 1, None)
    assert now.error.endswith("did not stop when its time was up")


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_what_commits_when_its_time_is_up_is_let_finish_and_holds_no_other_lease_up(leases, sessions):
    busy, other = claimed(sessions), claimed(sessions)
    with (
        leases.held(lease_for(busy, {}, limit=0.1)),
        leases.held(lease_for(other, {})),
        database.transaction(sessions) as session,
    ):
        held = lifecycle.guard(session, busy.id, busy.epoch)
        time.sleep(1.5)  # over its time by more than a lease
        seen = {read(sessions, other.id).lease_until}
        wait_for(lambda: read(sessions, other.id).lease_until not in seen)
        lifecycle.succeed(session, held, None)
    now = read(sessions, busy.id)
    assert (now.state, now.crashes) == (TaskState.SUCCESS, 0)


def test_what_cannot_be_taken_away_costs_no_other_lease(leases, sessions, monkeypatch):
    busy, other = claimed(sessions), claimed(sessions)

    def crash(*_arguments, **_how):
        raise SQLAlchemyError("what hangs on it cannot follow")

    monkeypatch.setattr(lifecycle, "crash", crash)
    with leases.held(lease_for(busy, {}, limit=0.1)), leases.held(lease_for(other, {})):
        time.sleep(1.5)  # over its time by more than a lease
        until = read(sessions, other.id).lease_until
        wait_for(lambda: read(sessions, other.id).lease_until > until)


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_who_hears_late_that_its_time_is_up_has_as_long_to_stop(leases, sessions):
    task, heard = claimed(sessions), []
    with leases.held(Lease(task.id, task.epoch, 0.5, heard.append)):
        with database.transaction(sessions) as session:
            session.connection()
            time.sleep(2.5)  # nobody else can write meanwhile, not to renew a lease either
        wait_for(lambda: heard)
        time.sleep(0.3)
        assert read(sessions, task.id).crashes == 0


def test_a_task_that_is_gone_is_lost(leases, sessions):
    interrupted = {}
    task = Task(id=uuid.uuid4(), epoch=1)
    with leases.held(lease_for(task, interrupted)):
        wait_for(lambda: interrupted)
    assert interrupted == {task.id: LeaseLost}


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_who_writes_one_checkpoint_after_another_keeps_its_lease(leases, sessions, settings):
    task, interrupted = claimed(sessions), {}
    work = Work(task.id, task.epoch, sessions, settings.with_changes(lease_seconds=1.0))
    with database.transaction(sessions) as session:
        lifecycle.renew(session, [(task.id, task.epoch)], dt.timedelta(seconds=1))
    with leases.held(lease_for(task, interrupted)):
        for _ in range(10):
            with work.transaction():
                time.sleep(0.3)
            with database.reading(sessions) as session:
                assert session.get_one(Task, task.id).lease_until > database.now(session)
    assert interrupted == {}


def test_without_a_thread_to_keep_it_a_lease_is_not_held_for_ever(leases, sessions, monkeypatch):
    first, second = claimed(sessions), claimed(sessions)
    with monkeypatch.context() as exhausted:
        exhausted.setattr(threading.Thread, "start", no_more_threads)
        with pytest.raises(RuntimeError), leases.held(lease_for(first, {})):
            pass
    with leases.held(lease_for(second, {})):  # the process recovers
        wait_for(lambda: read(sessions, second.id).lease_until != second.lease_until)
    assert read(sessions, first.id).lease_until == first.lease_until


def no_more_threads(_thread: threading.Thread) -> None:
    raise RuntimeError("can't start new thread")
