import threading
import time
import uuid

import pytest
import sqlalchemy as sa
import structlog
from dramatiq import Retry
from dramatiq.middleware import TimeLimitExceeded
from sqlalchemy.exc import OperationalError

from shared import database
from shared.errors import Cancelled, LeaseLost, Permanent, Stopping, Transient
from shared.lifecycle import task as lifecycle
from shared.models.idempotency import IdempotentAnswer
from shared.models.task import Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, ask
from tests.builders import add_user, ago, ask_for, change, read, wait_for
from worker_service import metrics
from worker_service import tasks as worker_tasks
from worker_service.tasks import Done, Door, Work
from worker_service.turns import FAIR_TURN


def nothing(_session):
    return None


def mark(session):
    """An effect that can be seen."""
    user = add_user(session)
    now = database.now(session)
    row = IdempotentAnswer(user_id=user.id, key="k", fingerprint="f", status=200, body={}, created_at=now)
    session.add(row)
    return {"marked": True}


def marks(sessions):
    with database.reading(sessions) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(IdempotentAnswer))


def run(frame, handler, **how):
    task = ask_for(frame.sessions, **how)
    frame.run(str(task.id), handler)
    return read(frame.sessions, task.id)


def raising(error):
    def handler(_work, days_old):
        raise error

    return handler


def is_watched():
    return any(each.name == "leases" for each in threading.enumerate())


def test_success_commits_effect_and_end_together(frame, sessions):
    seen = []

    def effect(session):
        with database.reading(sessions) as other:  # nobody sees one without the other
            seen.append((other.scalars(sa.select(Task.state)).one(), marks(sessions)))
        return mark(session)

    task = run(frame, lambda _work, days_old: effect)
    assert seen == [(TaskState.STARTED, 0)]
    assert (task.state, task.result, marks(sessions)) == (TaskState.SUCCESS, {"marked": True}, 1)
    wait_for(lambda: not is_watched())


def test_the_handler_gets_its_arguments(frame):
    got = []
    run(frame, lambda work, days_old: got.append((work.epoch, days_old)) or nothing)
    assert got == [(1, 30)]


def test_an_effect_that_fails_leaves_nothing_and_is_tried_again(frame, sessions):
    def effect(session):
        mark(session)
        session.flush()
        raise ValueError("no")

    task = ask_for(sessions)
    with pytest.raises(Retry):
        frame.run(str(task.id), lambda _work, days_old: effect)
    row = read(sessions, task.id)
    assert (row.state, row.error, marks(sessions)) == (TaskState.RETRY, "ValueError: no", 0)


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (Transient("busy"), "busy"),
        (KeyError("x"), "KeyError: 'x'"),
        (TimeLimitExceeded(), "TimeLimitExceeded: "),
        (SystemExit(3), "SystemExit: 3"),
        (MemoryError(), "MemoryError: "),
    ],
)
def test_what_may_pass_is_tried_again_when_it_is_due(frame, sessions, error, text):
    task = ask_for(sessions)
    with pytest.raises(Retry) as again:
        frame.run(str(task.id), raising(error))
    row = read(sessions, task.id)
    assert (row.state, row.error) == (TaskState.RETRY, text)
    left = (
        row.run_after - ago(sessions)
    ).total_seconds() * 1000  # less than the delay by the time that has passed
    assert 0 < again.value.delay <= lifecycle.FIRST_BACKOFF_SECONDS * 1000
    assert left <= again.value.delay + 1


def test_a_long_wait_is_left_to_the_sweeper(frame):
    task = run(frame, raising(Transient("quota", delay=86_400)))
    assert task.state == TaskState.RETRY


def test_the_last_attempt_gives_up(frame, sessions):
    task = ask_for(sessions)
    change(sessions, task.id, attempt=3)
    frame.run(str(task.id), raising(Transient("busy")))
    assert read(sessions, task.id).state == TaskState.FAILURE


def test_what_will_not_pass_fails_at_once(frame):
    task = run(frame, raising(Permanent("no such file")))
    assert (task.state, task.error, task.attempt) == (TaskState.FAILURE, "no such file", 1)


def test_a_permanent_error_in_the_effect_fails_as_well(frame, sessions):
    def effect(session):
        mark(session)
        raise Permanent("gone")

    task = run(frame, lambda _work, days_old: effect)
    assert (task.state, marks(sessions)) == (TaskState.FAILURE, 0)


def test_a_task_that_is_not_there_to_claim_is_no_error(frame, sessions):
    frame.run(str(uuid.uuid4()), raising(AssertionError()))
    task = ask_for(sessions)
    change(sessions, task.id, state=TaskState.REVOKED)
    frame.run(str(task.id), raising(AssertionError()))
    assert read(sessions, task.id).attempt == 0


def wait_interrupted(work: Work):
    """A handler's loop with checkpoints."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        work.raise_if_cancelled()
        time.sleep(0.01)
    raise AssertionError("never interrupted")


def test_a_cancel_is_noticed_at_a_checkpoint(frame, sessions):
    def handler(work, days_old):
        with database.transaction(sessions) as session:
            lifecycle.request_cancel(session, work.task_id)
        wait_interrupted(work)

    task = run(frame, handler)
    assert (task.state, task.error) == (TaskState.REVOKED, "cancelled")


def test_a_cancel_between_the_last_checkpoint_and_the_commit_still_counts(frame, sessions):
    def handler(work, days_old):
        with database.transaction(sessions) as session:
            lifecycle.request_cancel(session, work.task_id)
        return mark

    task = run(frame, handler)
    assert (task.state, marks(sessions)) == (TaskState.REVOKED, 0)


def take_away(sessions, task_id):
    with database.transaction(sessions) as session:
        lifecycle.expire(session, session.get_one(Task, task_id, with_for_update=True))


def test_a_lost_lease_is_noticed_at_a_checkpoint(frame, sessions):
    def handler(work, days_old):
        take_away(sessions, work.task_id)
        wait_interrupted(work)

    assert run(frame, handler).state == TaskState.PENDING


def test_a_lost_lease_refuses_the_commit(frame, sessions):
    def handler(work, days_old):
        take_away(sessions, work.task_id)
        return mark

    task = run(frame, handler)
    assert (task.state, marks(sessions)) == (TaskState.PENDING, 0)


@pytest.mark.parametrize("use", ["progress", "transaction"])
def test_a_lost_lease_refuses_every_other_write(work, sessions, use):
    take_away(sessions, work.task_id)
    if use == "progress":
        with pytest.raises(LeaseLost):
            work.progress("matching", 1, 2)
    else:
        with pytest.raises(LeaseLost), work.transaction():
            pass


def test_the_lease_is_kept_while_one_long_call_blocks(frame, sessions):
    leases = []

    def handler(work, days_old):
        for _ in range(2):
            leases.append(read(sessions, work.task_id).lease_until)
            time.sleep(0.9)
        leases.append(read(sessions, work.task_id).lease_until)
        return nothing

    task = run(frame, handler)
    assert (task.state, task.losses) == (TaskState.SUCCESS, 0)
    assert leases[0] < leases[1] < leases[2]


def test_the_lease_is_kept_through_a_database_that_is_away_for_a_moment(frame, sessions, monkeypatch):
    real, failed = lifecycle.renew, []

    def renew(*arguments):
        if not failed:
            failed.append(True)
            raise OperationalError("renew", {}, Exception("gone"))
        return real(*arguments)

    monkeypatch.setattr(lifecycle, "renew", renew)

    def handler(work, days_old):
        first = read(sessions, work.task_id).lease_until
        wait_for(lambda: read(sessions, work.task_id).lease_until > first)
        return nothing

    assert run(frame, handler).state == TaskState.SUCCESS
    assert failed


def test_what_takes_too_long_is_asked_to_stop(frame, sessions):
    task = ask_for(sessions)
    with pytest.raises(Retry):
        frame.run(str(task.id), lambda work, days_old: wait_interrupted(work), 0.3)
    assert read(sessions, task.id).error == "took longer than 0 s"


def test_what_goes_on_past_its_limit_and_a_lease_is_taken_away(frame, sessions, monkeypatch):
    outcomes = []
    monkeypatch.setattr(metrics, "observe", lambda _queue, _task, outcome, _seconds: outcomes.append(outcome))

    def handler(work, days_old):
        wait_for(lambda: read(sessions, work.task_id).crashes)
        wait_interrupted(work)

    task = ask_for(sessions)
    frame.run(str(task.id), handler, 0.2)
    assert (read(sessions, task.id).state, outcomes) == (TaskState.PENDING, ["lease_lost"])


@pytest.fixture
def answer(frame):
    """Answer doorbells of the default queue; the ids of the tasks that were worked on, in order."""

    def answer(times=1):
        done = []

        def handler(work, days_old):
            done.append(work.task_id)
            return nothing

        frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
        for _ in range(times):
            frame.answer("default")
        return done

    return answer


def test_a_doorbell_is_answered_with_all_that_is_due_the_most_urgent_first(sessions, answer, rung):
    low, urgent = ask_for(sessions, priority=60), ask_for(sessions, priority=10)
    rung.clear()
    assert answer() == [urgent.id, low.id]
    assert read(sessions, urgent.id).state == TaskState.SUCCESS
    assert rung == []


def test_whoever_has_stayed_long_enough_with_a_queue_leaves_the_rest_to_another(
    sessions, answer, rung, monkeypatch
):
    monkeypatch.setattr(worker_tasks, "STAY_SECONDS", 0.0)
    first, second = ask_for(sessions), ask_for(sessions)
    rung.clear()
    assert answer() == [first.id]
    assert [ring.queue for ring in rung] == ["default"]
    assert read(sessions, second.id).state == TaskState.PENDING


def test_whoever_has_to_stop_leaves_the_rest_to_another(frame, sessions, rung):
    def handler(_work, days_old):
        frame.stop()
        return Done()

    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
    first, second = ask_for(sessions), ask_for(sessions)
    rung.clear()
    frame.answer("default")
    assert read(sessions, first.id).state == TaskState.SUCCESS
    assert read(sessions, second.id).state == TaskState.PENDING
    assert [ring.queue for ring in rung] == ["default"]


def test_a_retry_leaves_the_rest_of_the_queue_to_another(frame, sessions, rung):
    def handler(_work, days_old):
        raise Transient("the tide is out")

    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
    ask_for(sessions)
    second = ask_for(sessions)
    rung.clear()
    with pytest.raises(Retry):
        frame.answer("default")
    assert [ring.queue for ring in rung] == ["default"]
    assert read(sessions, second.id).state == TaskState.PENDING


def test_what_has_nothing_to_write_ends_with_its_result(frame, sessions):
    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(
        CLEANUP_OLD_NOTIFICATIONS, lambda work, days_old: Done({"removed": 0}), 60.0
    )
    asked = [ask_for(sessions) for _ in range(3)]
    frame.answer("default")
    rows = [read(sessions, task.id) for task in asked]
    assert [(row.state, row.result) for row in rows] == [(TaskState.SUCCESS, {"removed": 0})] * 3
    assert {(row.attempt, row.epoch, row.lease_until) for row in rows} == {(1, 2, None)}


def test_effects_are_committed_with_the_end_and_none_is_lost_or_doubled_on_the_way(frame, sessions):
    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(
        CLEANUP_OLD_NOTIFICATIONS, lambda work, days_old: mark, 60.0
    )
    asked = [ask_for(sessions) for _ in range(3)]
    frame.answer("default")
    rows = [read(sessions, task.id) for task in asked]
    assert [(row.state, row.result, row.attempt) for row in rows] == [
        (TaskState.SUCCESS, {"marked": True}, 1)
    ] * 3
    assert marks(sessions) == 3


def test_an_effect_that_fails_takes_no_other_task_with_it(frame, sessions):
    def handler(work, days_old):
        return fail if work.task_id == first.id else nothing

    def fail(session):
        mark(session)
        raise Permanent("no")

    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
    first, second = ask_for(sessions), ask_for(sessions)
    frame.answer("default")
    assert (read(sessions, first.id).state, marks(sessions)) == (TaskState.FAILURE, 0)
    assert (read(sessions, second.id).state, read(sessions, second.id).attempt) == (TaskState.SUCCESS, 1)


def test_what_is_cancelled_at_the_last_moment_is_revoked_though_it_has_nothing_to_write(frame, sessions):
    def handler(work, days_old):
        if work.task_id == first.id:
            with database.transaction(sessions) as session:
                lifecycle.request_cancel(session, work.task_id)
        return Done()

    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
    first, second = ask_for(sessions), ask_for(sessions)
    frame.answer("default")
    assert read(sessions, first.id).state == TaskState.REVOKED
    assert read(sessions, second.id).state == TaskState.SUCCESS


def test_what_lost_its_lease_is_not_ended_though_it_has_nothing_to_write(frame, sessions):
    def handler(work, days_old):
        if work.task_id == first.id:
            change(sessions, work.task_id, epoch=9)
        return Done()

    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, handler, 60.0)
    first, second = ask_for(sessions), ask_for(sessions)
    frame.answer("default")
    assert (read(sessions, first.id).state, read(sessions, first.id).epoch) == (TaskState.STARTED, 9)
    assert read(sessions, second.id).state == TaskState.SUCCESS


def test_a_doorbell_too_many_is_no_error(sessions, answer):
    task = ask_for(sessions)
    assert answer(3) == [task.id]


def test_what_matters_little_gets_its_turn_among_any_number_of_urgent_tasks(sessions, answer):
    low = ask_for(sessions, priority=99, run_after=ago(sessions, minutes=5))
    for _ in range(FAIR_TURN + 2):
        ask_for(sessions, priority=1)
    assert answer(FAIR_TURN).index(low.id) == FAIR_TURN - 1


def test_what_a_worker_has_no_door_for_is_left_to_another(frame, sessions):
    task = ask_for(sessions)
    frame.answer("default")
    assert read(sessions, task.id).state == TaskState.PENDING


def test_stopping_hands_back_at_the_next_checkpoint(frame, sessions, rung):
    def handler(work, days_old):
        rung.clear()
        frame.stop()
        work.raise_if_cancelled()

    task = run(frame, handler)
    assert (task.state, task.attempt, task.losses) == (TaskState.PENDING, 0, 0)
    assert [ring.task_id for ring in rung] == [task.id]


def test_what_is_claimed_while_stopping_goes_back_too(frame):
    frame.stop()
    assert run(frame, lambda work, days_old: work.raise_if_cancelled()).attempt == 0


def test_stopping_lets_finish_what_comes_to_no_checkpoint(frame):
    def handler(_work, days_old):
        frame.stop()
        return nothing

    assert run(frame, handler).state == TaskState.SUCCESS


def test_what_does_not_stop_in_time_is_fenced_off(frame, sessions):
    def handler(_work, days_old):
        frame.stop()
        frame.abandon()
        return mark

    task = run(frame, handler)
    assert (task.state, task.attempt, marks(sessions)) == (TaskState.PENDING, 0, 0)


def test_progress_is_written_per_stage_and_at_its_end(work, sessions):
    def seen():
        row = read(sessions, work.task_id)
        return row.stage, row.current, row.total, row.percent

    work.progress("matching", 0, 100)
    assert seen() == ("matching", 0, 100, 0)
    work.progress("matching", 1, 100)  # too soon
    assert seen() == ("matching", 0, 100, 0)
    work.progress("matching", 100, 100)
    assert seen() == ("matching", 100, 100, 100)
    work.progress("recording", 0)
    assert seen() == ("recording", 0, None, None)
    assert read(sessions, work.task_id).state == TaskState.PROGRESS


def test_a_checkpoint_transaction_commits_while_the_lease_is_held(work, sessions):
    with work.transaction() as session:
        mark(session)
    assert marks(sessions) == 1
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, work.task_id)
    with pytest.raises(Cancelled), work.transaction():
        pass


def test_the_first_interruption_counts_unless_the_lease_is_lost_after_it(work):
    work.interrupt(Stopping())
    work.interrupt(Cancelled())
    with pytest.raises(Stopping):
        work.raise_if_cancelled()
    work.interrupt(LeaseLost())
    with pytest.raises(LeaseLost):
        work.raise_if_cancelled()


def test_a_request_is_followed_through_whatever_it_asks_for(frame, sessions):
    """The log lines of a task, and of the tasks it asks for, name the request that was the cause."""
    seen = []

    def handler(_work, days_old):
        seen.append(structlog.contextvars.get_contextvars())
        return lambda session: ask(session, CLEANUP_OLD_NOTIFICATIONS, days_old=days_old) and None

    with structlog.contextvars.bound_contextvars(request_id="r-1"):
        first = ask_for(sessions)
    frame.run(str(first.id), handler)
    assert seen[0]["request_id"] == "r-1"
    assert seen[0]["task_id"] == str(first.id)
    with database.reading(sessions) as session:
        asked = session.scalars(sa.select(Task).where(Task.id != first.id)).one()
    assert asked.request_id == "r-1"
    assert structlog.contextvars.get_contextvars().get("request_id") != "r-1"
