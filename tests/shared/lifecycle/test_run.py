import pytest
import sqlalchemy as sa

from shared import database
from shared.errors import Conflict
from shared.lifecycle import run as lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.models.scan import Run, RunStatus, Scan, Trigger
from shared.models.task import Task, TaskState
from shared.tasks import SEND_NOTIFICATION
from tests.builders import add_run, add_scan, add_user, at_once, change, claim, read


@pytest.fixture
def run(sessions):
    with database.transaction(sessions) as session:
        return add_run(session, requested_by=add_user(session).id)


def status(sessions, run):
    with database.reading(sessions) as session:
        return session.get_one(Run, run.id).status


def do(sessions, transition, *arguments):
    with database.transaction(sessions) as session:
        return transition(session, *arguments)


def test_a_started_scan_is_queued_and_shows_it(sessions, run):
    with database.reading(sessions) as session:
        scan = session.get_one(Scan, run.scan_id)
        assert (scan.status, scan.latest_run_id) == ("queued", run.id)
        task = session.get_one(Task, run.task_id)
        assert task.arguments == {"run_id": str(run.id)}
        assert task.lock_key == f"asset:{scan.asset_id}"


def test_a_scan_that_never_ran_is_pending(sessions):
    with database.transaction(sessions) as session:
        assert add_scan(session).status == "pending"


def test_a_second_start_is_refused_and_changes_nothing(sessions, run):
    with database.transaction(sessions) as session, pytest.raises(Conflict, match="under way"):
        lifecycle.start(session, session.get_one(Scan, run.scan_id), None)
    with database.reading(sessions) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Task)) == 1


def test_of_many_starts_at_once_one_succeeds(sessions):
    with database.transaction(sessions) as session:
        scan_id = add_scan(session).id

    def start():
        with database.transaction(sessions) as session:
            return lifecycle.start(session, session.get_one(Scan, scan_id), None)

    results = at_once([start] * 5)
    assert sum(isinstance(each, Run) for each in results) == 1
    assert sum(isinstance(each, Conflict) for each in results) == 4


def test_a_manual_run_overtakes_a_scheduled_one(sessions):
    with database.transaction(sessions) as session:
        manual = lifecycle.start(session, add_scan(session), None)
        scheduled = lifecycle.start(session, add_scan(session), None, trigger=Trigger.SCHEDULE)
    assert read(sessions, manual.task_id).priority < read(sessions, scheduled.task_id).priority


def test_it_follows_its_task_to_the_end(sessions, run):
    task = claim(sessions, run.task_id)
    assert status(sessions, run) == RunStatus.RUNNING
    with database.transaction(sessions) as session:
        task_lifecycle.succeed(session, task_lifecycle.guard(session, task.id, task.epoch), None)
    with database.reading(sessions) as session:
        after = session.get_one(Run, run.id)
        ended = session.get_one(Task, run.task_id)
        assert (after.status, after.started_at, after.ended_at) == (
            RunStatus.COMPLETED,
            ended.started_at,
            ended.ended_at,
        )
    assert status(sessions, run) == RunStatus.COMPLETED


def test_between_attempts_it_is_queued_with_the_reason(sessions, run):
    task = claim(sessions, run.task_id)
    do(sessions, task_lifecycle.retry, task.id, task.epoch, "busy")
    with database.reading(sessions) as session:
        after = session.get_one(Run, run.id)
        assert (after.status, after.error) == (RunStatus.QUEUED, "busy")


def test_a_cancel_asked_of_a_running_run_shows_at_once(sessions, run):
    task = claim(sessions, run.task_id)
    do(sessions, task_lifecycle.request_cancel, task.id)
    assert status(sessions, run) == RunStatus.CANCELLING
    do(sessions, task_lifecycle.fail, task.id, task.epoch, "cancelled")
    assert status(sessions, run) == RunStatus.CANCELLED


def test_a_cancelled_run_that_is_handed_back_is_not_queued_again(sessions, run):
    task = claim(sessions, run.task_id)
    do(sessions, task_lifecycle.request_cancel, task.id)
    do(sessions, task_lifecycle.hand_back, task.id, task.epoch)
    assert status(sessions, run) == RunStatus.CANCELLED


def test_a_queued_run_is_cancelled_at_once_and_the_scan_starts_again(sessions, run):
    do(sessions, task_lifecycle.request_cancel, run.task_id)
    assert status(sessions, run) == RunStatus.CANCELLED
    with database.transaction(sessions) as session:
        lifecycle.start(session, session.get_one(Scan, run.scan_id), None)


def fail(sessions, run):
    task = claim(sessions, run.task_id)
    do(sessions, task_lifecycle.fail, task.id, task.epoch, "no inventory")


def test_a_failed_run_tells_who_started_it(sessions, run):
    fail(sessions, run)
    assert status(sessions, run) == RunStatus.FAILED
    with database.reading(sessions) as session:
        told = session.scalars(sa.select(Task).where(Task.name == SEND_NOTIFICATION)).one()
        assert told.arguments["user_id"] == str(run.requested_by)
        assert "no inventory" in told.arguments["message"]


def test_a_run_of_nobody_fails_in_silence(sessions):
    with database.transaction(sessions) as session:
        run = add_run(session)
    fail(sessions, run)
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Task.name)).all() == ["execute_vulnerability_scan"]


def test_a_requeued_run_is_the_one_that_its_scan_shows(sessions, run):
    fail(sessions, run)
    with database.transaction(sessions) as session:
        newer = lifecycle.start(session, session.get_one(Scan, run.scan_id), None)
    do(sessions, task_lifecycle.request_cancel, newer.task_id)
    do(sessions, task_lifecycle.requeue, run.task_id)
    with database.reading(sessions) as session:
        scan = session.get_one(Scan, run.scan_id)
        assert (scan.status, scan.latest_run_id) == ("queued", run.id)
        after = session.get_one(Run, run.id)
        assert after.ended_at is None


def test_a_requeue_and_a_start_at_once_do_not_wait_for_each_other(sessions, run):
    fail(sessions, run)

    def start():
        with database.transaction(sessions) as session:
            lifecycle.start(session, session.get_one(Scan, run.scan_id), None)

    results = at_once([start, lambda: do(sessions, task_lifecycle.requeue, run.task_id)])
    assert sorted(type(each).__name__ for each in results) == ["Conflict", "NoneType"] or [
        type(each).__name__ for each in results
    ] == ["Conflict", "Task"]


def test_a_task_whose_run_was_deleted_changes_alone(sessions, run):
    with database.transaction(sessions) as session:
        session.execute(sa.delete(Run))
    change(sessions, run.task_id, state=TaskState.PENDING)
    assert claim(sessions, run.task_id) is not None
