import datetime as dt
import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.database import Sessions
from shared.errors import Cancelled, Conflict, LeaseLost
from shared.lifecycle import task as lifecycle
from shared.models.scan import Scan
from shared.models.task import ACTIVE, ENDED, Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, Ring, ask
from tests.builders import LEASE, add_run, ago, ask_for, at_once, change, claim, claimed, read


def do(sessions: Sessions, transition, *arguments):
    with database.transaction(sessions) as session:
        return transition(session, *arguments)


def succeed(sessions: Sessions, task: Task, result=None):
    with database.transaction(sessions) as session:
        lifecycle.succeed(session, lifecycle.guard(session, task.id, task.epoch), result)


def expire(sessions: Sessions, task_id: uuid.UUID):
    with database.transaction(sessions) as session:
        lifecycle.expire(session, session.get_one(Task, task_id, with_for_update=True))


@pytest.fixture
def rung() -> list[Ring]:
    return []


@pytest.fixture
def sessions(engine: sa.Engine, rung: list[Ring]) -> Sessions:
    return database.make_sessions(engine, lambda rings: rung.extend(rings) is None)


def test_claim_takes_a_due_task(sessions):
    asked = ask_for(sessions)
    task = claim(sessions, asked.id)
    assert (task.state, task.attempt, task.epoch, task.worker) == (TaskState.STARTED, 1, 1, "worker-1")
    assert task.lease_until == task.started_at + LEASE


@pytest.mark.parametrize("state", [*ACTIVE, *ENDED])
def test_claim_refuses_what_does_not_wait(sessions, state):
    task = ask_for(sessions)
    change(sessions, task.id, state=state)
    assert claim(sessions, task.id) is None
    assert read(sessions, task.id).attempt == 0


def test_claim_refuses_what_is_not_due(sessions, rung):
    task = ask_for(sessions, run_after=ago(sessions, hours=-1))
    assert claim(sessions, task.id) is None
    assert rung == []


def test_claim_refuses_what_is_not_there(sessions):
    assert claim(sessions, uuid.uuid4()) is None


def test_of_many_claimers_one_wins(sessions):
    task = ask_for(sessions)
    results = at_once([lambda: claim(sessions, task.id)] * 6)
    assert sum(result is not None for result in results) == 1
    assert read(sessions, task.id).attempt == 1


def test_of_many_that_need_one_lock_one_runs(sessions):
    tasks = [ask_for(sessions, lock_key="asset:1") for _ in range(4)]
    results = at_once([lambda task=task: claim(sessions, task.id) for task in tasks])
    assert sum(isinstance(result, Task) for result in results) == 1
    assert not [result for result in results if isinstance(result, Exception)]
    states = sorted(read(sessions, task.id).state for task in tasks)
    assert states == ["PENDING", "PENDING", "PENDING", "STARTED"]


def test_the_end_of_a_lock_rings_for_the_most_urgent_that_waits(sessions, rung):
    holder = claimed(sessions, lock_key="mirror")
    later = ask_for(sessions, lock_key="mirror", priority=50)
    urgent = ask_for(sessions, lock_key="mirror", priority=10)
    not_due = ask_for(sessions, lock_key="mirror", priority=1, run_after=ago(sessions, hours=-1))
    assert claim(sessions, later.id) is None
    rung.clear()
    succeed(sessions, holder)
    assert [ring.task_id for ring in rung] == [urgent.id]
    assert claim(sessions, urgent.id) is not None
    assert read(sessions, not_due.id).run_after == not_due.run_after


def test_a_retry_that_waits_for_the_lock_is_rung_as_well(sessions, rung):
    holder = claimed(sessions, lock_key="mirror")
    other = ask_for(sessions, lock_key="mirror")
    change(sessions, other.id, state=TaskState.RETRY)
    rung.clear()
    succeed(sessions, holder)
    assert [ring.task_id for ring in rung] == [other.id]


def test_a_retry_lets_its_lock_go(sessions, rung):
    holder = claimed(sessions, lock_key="mirror")
    other = ask_for(sessions, lock_key="mirror")
    rung.clear()
    do(sessions, lifecycle.retry, holder.id, holder.epoch, "busy", 60.0)
    assert [ring.task_id for ring in rung] == [other.id]
    assert claim(sessions, other.id) is not None


def test_report_and_renew_only_under_the_present_epoch(sessions):
    task = claimed(sessions)
    change(sessions, task.id, lease_until=ago(sessions, seconds=1))
    assert do(sessions, lifecycle.renew, [(task.id, task.epoch)], LEASE)
    assert do(sessions, lifecycle.report, task.id, task.epoch, "matching", 3, 10)
    now = read(sessions, task.id)
    assert (now.state, now.stage, now.current, now.total) == (TaskState.PROGRESS, "matching", 3, 10)
    assert now.lease_until > ago(sessions)
    assert not do(sessions, lifecycle.renew, [(task.id, task.epoch - 1)], LEASE)
    assert not do(sessions, lifecycle.report, task.id, task.epoch - 1, "matching", 4, 10)


def test_success_ends_it_with_its_result(sessions):
    task = claimed(sessions)
    succeed(sessions, task, {"removed": 1})
    now = read(sessions, task.id)
    assert (now.state, now.result, now.error) == (TaskState.SUCCESS, {"removed": 1}, None)
    assert now.ended_at is not None
    assert now.lease_until is None


def test_an_old_epoch_can_do_nothing(sessions):
    task = claimed(sessions)
    expire(sessions, task.id)
    second = claim(sessions, task.id)
    before = read(sessions, task.id)
    with pytest.raises(LeaseLost):
        succeed(sessions, task)
    assert not do(sessions, lifecycle.fail, task.id, task.epoch, "late")
    assert do(sessions, lifecycle.retry, task.id, task.epoch, "late") is None
    assert not do(sessions, lifecycle.hand_back, task.id, task.epoch)
    assert not do(sessions, lifecycle.renew, [(task.id, task.epoch)], LEASE)
    after = read(sessions, task.id)
    assert (after.state, after.epoch, after.lease_until) == (before.state, before.epoch, before.lease_until)
    succeed(sessions, second)


def test_a_guarded_commit_and_the_sweeper_do_not_both_win(sessions):
    for _ in range(5):
        task = claimed(sessions)
        change(sessions, task.id, lease_until=ago(sessions, seconds=1))

        def take(task=task):
            with database.transaction(sessions) as session:
                query = sa.select(Task).where(Task.id == task.id, Task.state.in_(ACTIVE))
                row = session.scalar(query.with_for_update(skip_locked=True))
                if row is None:
                    return False
                lifecycle.expire(session, row)
                return True

        ended, taken = at_once([lambda task=task: succeed(sessions, task), take])
        if taken is True:
            assert isinstance(ended, LeaseLost)
            assert read(sessions, task.id).state == TaskState.PENDING
        else:
            assert ended is None
            assert read(sessions, task.id).state == TaskState.SUCCESS


def test_failing_makes_a_dead_letter(sessions):
    task = claimed(sessions)
    assert do(sessions, lifecycle.fail, task.id, task.epoch, "no such file")
    now = read(sessions, task.id)
    assert (now.state, now.error) == (TaskState.FAILURE, "no such file")


def test_retries_follow_their_schedule_and_end_after_four_attempts(sessions):
    task = ask_for(sessions)
    waits = []
    for attempt in (1, 2, 3):
        held = claim(sessions, task.id)
        seconds = do(sessions, lifecycle.retry, held.id, held.epoch, "busy")
        now = read(sessions, task.id)
        assert now.state == TaskState.RETRY
        assert now.attempt == attempt
        assert (now.run_after - ago(sessions)).total_seconds() == pytest.approx(seconds, abs=1)
        assert claim(sessions, task.id) is None
        change(sessions, task.id, run_after=ago(sessions, seconds=1))
        waits.append(seconds)
    assert [2.5 <= waits[0] <= 5, 10 <= waits[1] <= 20, 40 <= waits[2] <= 80] == [True] * 3
    held = claim(sessions, task.id)
    assert do(sessions, lifecycle.retry, held.id, held.epoch, "busy") is None
    now = read(sessions, task.id)
    assert (now.state, now.error) == (TaskState.FAILURE, "busy (gave up after 4 attempts)")


def test_backoff_has_an_upper_end():
    assert lifecycle.backoff(20) <= lifecycle.MAX_BACKOFF_SECONDS


def test_handing_back_counts_no_attempt_and_rings(sessions, rung):
    task = claimed(sessions)
    rung.clear()
    assert do(sessions, lifecycle.hand_back, task.id, task.epoch)
    now = read(sessions, task.id)
    assert (now.state, now.attempt, now.losses, now.worker) == (TaskState.PENDING, 0, 0, None)
    assert [ring.task_id for ring in rung] == [task.id]
    assert claim(sessions, task.id).epoch == task.epoch + 2


def crash(sessions: Sessions, task: Task) -> bool:
    return do(sessions, lifecycle.crash, task.id, task.epoch, "was killed by SIGKILL")


def again(sessions: Sessions, task_id: uuid.UUID) -> Task:
    """Claim it without waiting for its time."""
    change(sessions, task_id, run_after=ago(sessions, minutes=1))
    task = claim(sessions, task_id)
    assert task is not None
    return task


def reap(sessions: Sessions, worker: str = "worker-1") -> list[uuid.UUID]:
    return [task.id for task in do(sessions, lifecycle.reap, worker)]


def test_a_task_that_crashes_a_third_time_is_poison(sessions):
    task = ask_for(sessions)
    for crashes in (1, 2):
        again(sessions, task.id)
        assert reap(sessions) == [task.id]
        now = read(sessions, task.id)
        assert (now.state, now.losses, now.crashes) == (TaskState.PENDING, crashes, crashes)
    assert crash(sessions, again(sessions, task.id))
    now = read(sessions, task.id)
    assert (now.state, now.losses, now.crashes, now.attempt) == (TaskState.FAILURE, 3, 3, 3)


def test_the_death_of_a_process_takes_what_it_held_and_nothing_else(sessions, rung):
    held, beside, waiting = claimed(sessions), claimed(sessions), ask_for(sessions)
    over = claimed(sessions)
    change(sessions, beside.id, worker="worker-2")
    do(sessions, lifecycle.fail, over.id, over.epoch, "no")
    rung.clear()
    assert reap(sessions) == [held.id]
    assert rung == []  # it waits for a moment
    assert (read(sessions, held.id).state, read(sessions, held.id).epoch) == (
        TaskState.PENDING,
        held.epoch + 1,
    )
    assert [read(sessions, each.id).losses for each in (beside, waiting, over)] == [0, 0, 0]
    assert reap(sessions) == []


def test_a_suspect_does_not_crash_with_the_worker_that_watches_its_process(sessions):
    task = claimed(sessions)
    change(sessions, task.id, crashes=2, losses=2)
    assert reap(sessions) == [task.id]
    now = read(sessions, task.id)
    assert (now.state, now.losses, now.crashes) == (TaskState.PENDING, 3, 2)


def test_what_was_to_be_cancelled_ends_with_its_process(sessions):
    task = claimed(sessions)
    do(sessions, lifecycle.request_cancel, task.id)
    reap(sessions)
    assert (read(sessions, task.id).state, read(sessions, task.id).crashes) == (TaskState.REVOKED, 1)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_who_is_not_to_wait_passes_over_a_row_in_which_somebody_writes(sessions):
    task = claimed(sessions)
    with database.transaction(sessions) as session:
        lifecycle.guard(session, task.id, task.epoch)
        with database.transaction(sessions) as other:
            assert not lifecycle.crash(other, task.id, task.epoch, "hung", wait=False)
    assert read(sessions, task.id).crashes == 0


def test_workers_that_vanish_are_no_proof_but_not_for_ever(sessions):
    task = ask_for(sessions)
    for losses in range(1, lifecycle.MAX_LOSSES):
        again(sessions, task.id)
        expire(sessions, task.id)
        now = read(sessions, task.id)
        assert (now.state, now.losses) == (TaskState.PENDING, losses)
    again(sessions, task.id)
    expire(sessions, task.id)
    assert read(sessions, task.id).state == TaskState.FAILURE


def test_a_suspect_that_is_given_up_tells_which_workers_it_lost_and_when(sessions):
    task = ask_for(sessions)
    again(sessions, task.id)
    expire(sessions, task.id)
    for _ in range(2):
        again(sessions, task.id)
        reap(sessions)
    crash(sessions, again(sessions, task.id))
    now = read(sessions, task.id)
    assert [(each["attempt"], each["worker"]) for each in now.history] == [
        (number, "worker-1") for number in (1, 2, 3, 4)
    ]
    moments = [dt.datetime.fromisoformat(each["at"]) for each in now.history]
    assert moments == sorted(moments)
    assert now.error == "given up after 4 losses: " + "; ".join(
        f"{each['at'][:19]}Z attempt {number}: {what}"
        for number, (each, what) in enumerate(
            zip(
                now.history,
                [
                    "worker worker-1 stopped answering",
                    *["process worker-1 died"] * 2,
                    "at worker-1 it was killed by SIGKILL",
                ],
                strict=True,
            ),
            1,
        )
    )


def test_the_first_workers_that_vanish_are_made_good_for_at_once(sessions, rung):
    task = claimed(sessions)
    for losses in range(1, lifecycle.FREE_LOSSES + 2):
        rung.clear()
        expire(sessions, task.id)
        if losses <= lifecycle.FREE_LOSSES:
            assert [ring.task_id for ring in rung] == [task.id]
            assert claim(sessions, task.id) is not None
    now = read(sessions, task.id)
    assert rung == []
    assert now.crashes == 0
    assert 1 < (now.run_after - ago(sessions)).total_seconds() <= 4


def test_the_waits_after_lost_workers_grow_to_an_upper_end():
    assert [lifecycle.loss_backoff(losses) for losses in (1, 2, 5)] == [0, 0, 0]
    for losses, low, high in ((6, 2, 4), (7, 8, 16), (8, 10, 20), (9, 10, 20)):
        assert all(low <= lifecycle.loss_backoff(losses) <= high for _ in range(100))


def test_there_is_a_wait_after_the_first_crash_already():
    for crashes, low, high in ((1, 1.5, 3), (2, 6, 12)):
        assert all(low <= lifecycle.crash_backoff(crashes) <= high for _ in range(100))


def test_a_crash_of_who_no_longer_holds_it_changes_nothing(sessions):
    task = claimed(sessions)
    expire(sessions, task.id)
    assert not crash(sessions, task)
    assert read(sessions, task.id).losses == 1


def test_lost_workers_cost_no_attempt(sessions):
    task = ask_for(sessions)
    for _ in range(3):
        again(sessions, task.id)
        expire(sessions, task.id)
    for _ in range(lifecycle.MAX_ATTEMPTS - 1):
        held = again(sessions, task.id)
        assert do(sessions, lifecycle.retry, held.id, held.epoch, "busy") is not None
    held = again(sessions, task.id)
    assert do(sessions, lifecycle.retry, held.id, held.epoch, "busy") is None
    assert read(sessions, task.id).error == "busy (gave up after 4 attempts)"


def test_the_history_has_an_upper_end(sessions):
    task = claimed(sessions)
    change(
        sessions, task.id, history=[{"at": "", "worker": "", "attempt": 0, "what": str(n)} for n in range(40)]
    )
    do(sessions, lifecycle.retry, task.id, task.epoch, "busy")
    history = read(sessions, task.id).history
    assert (len(history), history[-1]["what"], history[0]["what"]) == (lifecycle.HISTORY, "busy", "21")


@pytest.mark.parametrize(
    "leave",
    [
        lambda sessions, task: do(sessions, lifecycle.retry, task.id, task.epoch, "busy"),
        lambda sessions, task: do(sessions, lifecycle.hand_back, task.id, task.epoch),
        lambda sessions, task: expire(sessions, task.id),
    ],
    ids=["retry", "hand back", "expire"],
)
def test_what_nobody_works_on_shows_no_progress(sessions, leave):
    task = claimed(sessions)
    do(sessions, lifecycle.report, task.id, task.epoch, "matching", 3, 7)
    leave(sessions, task)
    now = read(sessions, task.id)
    assert (now.stage, now.current, now.total) == (None, None, None)


@pytest.mark.parametrize("state", [TaskState.PENDING, TaskState.RETRY])
def test_cancelling_what_waits_ends_it_at_once(sessions, state):
    task = ask_for(sessions)
    change(sessions, task.id, state=state)
    do(sessions, lifecycle.request_cancel, task.id)
    assert read(sessions, task.id).state == TaskState.REVOKED
    assert claim(sessions, task.id) is None


def cancel_running(sessions: Sessions) -> Task:
    task = claimed(sessions)
    do(sessions, lifecycle.request_cancel, task.id)
    assert read(sessions, task.id).state == TaskState.STARTED
    return task


def test_a_cancelled_task_cannot_commit(sessions):
    task = cancel_running(sessions)
    with pytest.raises(Cancelled):
        succeed(sessions, task)


@pytest.mark.parametrize(
    "leave",
    [
        lambda sessions, task: do(sessions, lifecycle.fail, task.id, task.epoch, "cancelled"),
        lambda sessions, task: do(sessions, lifecycle.retry, task.id, task.epoch, "busy"),
        lambda sessions, task: do(sessions, lifecycle.hand_back, task.id, task.epoch),
        lambda sessions, task: expire(sessions, task.id),
        crash,
    ],
    ids=["fail", "retry", "hand back", "expire", "crash"],
)
def test_however_a_cancelled_task_leaves_its_worker_it_is_revoked(sessions, leave):
    task = cancel_running(sessions)
    leave(sessions, task)
    now = read(sessions, task.id)
    assert (now.state, now.error) == (TaskState.REVOKED, "cancelled")


@pytest.mark.parametrize("state", ENDED)
def test_what_has_ended_cannot_be_cancelled(sessions, state):
    task = ask_for(sessions)
    change(sessions, task.id, state=state, ended_at=ago(sessions))
    with pytest.raises(Conflict, match=state):
        do(sessions, lifecycle.request_cancel, task.id)


def test_cancelling_twice_keeps_the_first_time(sessions):
    task = cancel_running(sessions)
    first = read(sessions, task.id).cancel_requested_at
    do(sessions, lifecycle.request_cancel, task.id)
    assert read(sessions, task.id).cancel_requested_at == first


def test_cancel_and_completion_at_once_agree(sessions):
    for _ in range(8):
        task = claimed(sessions)
        ended, cancelled = at_once(
            [
                lambda task=task: succeed(sessions, task),
                lambda task=task: do(sessions, lifecycle.request_cancel, task.id),
            ]
        )
        state = read(sessions, task.id).state
        if ended is None:
            assert isinstance(cancelled, Conflict)
            assert state == TaskState.SUCCESS
        else:
            assert isinstance(ended, Cancelled)
            assert state == TaskState.STARTED


def test_a_dead_letter_starts_anew(sessions, rung):
    task = claimed(sessions)
    change(sessions, task.id, losses=3, crashes=3)
    do(sessions, lifecycle.fail, task.id, task.epoch, "no such file")
    rung.clear()
    do(sessions, lifecycle.requeue, task.id)
    now = read(sessions, task.id)
    assert (now.state, now.attempt, now.losses, now.crashes) == (TaskState.PENDING, 0, 0, 0)
    assert now.ended_at is None
    assert [ring.task_id for ring in rung] == [task.id]
    assert claim(sessions, task.id) is not None


@pytest.mark.parametrize("state", [each for each in TaskState if each != TaskState.FAILURE])
def test_only_a_dead_letter_can_be_requeued(sessions, state):
    task = ask_for(sessions)
    change(sessions, task.id, state=state)
    with pytest.raises(Conflict):
        do(sessions, lifecycle.requeue, task.id)
    assert read(sessions, task.id).state == state


def test_requeueing_what_was_asked_for_again_changes_nothing(sessions, rung):
    task = claimed(sessions, dedupe_key="import:a")
    do(sessions, lifecycle.fail, task.id, task.epoch, "no such file")
    ask_for(sessions, dedupe_key="import:a")
    rung.clear()
    with database.transaction(sessions) as session, pytest.raises(Conflict, match="asked for again"):
        lifecycle.requeue(session, task.id)
    assert read(sessions, task.id).state == TaskState.FAILURE
    assert rung == []


def test_requeueing_a_scan_beside_a_newer_run_changes_nothing(sessions, rung):
    with database.transaction(sessions) as session:
        run = add_run(session)
    held = claim(sessions, run.task_id)
    do(sessions, lifecycle.fail, held.id, held.epoch, "no inventory")
    with database.transaction(sessions) as session:
        add_run(session, session.get_one(Scan, run.scan_id))
    rung.clear()
    with database.transaction(sessions) as session, pytest.raises(Conflict, match="newer run"):
        lifecycle.requeue(session, run.task_id)
    assert read(sessions, run.task_id).state == TaskState.FAILURE
    assert rung == []


def test_rings_go_out_after_the_commit_and_never_after_a_rollback(engine):
    seen = []

    def ring(rings):
        with engine.connect() as connection:  # another connection sees the row
            ids = set(connection.scalars(sa.select(Task.id)))
        seen.append(all(each.task_id in ids for each in rings))
        return True

    sessions = database.make_sessions(engine, ring)
    ask_for(sessions)
    assert seen == [True]

    def ask_and_fail():
        with database.transaction(sessions) as session:
            ask(session, CLEANUP_OLD_NOTIFICATIONS, days_old=1)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        ask_and_fail()
    assert seen == [True]


def test_times_are_the_databases(sessions):
    task = claimed(sessions)
    assert abs(task.started_at - ago(sessions)) < dt.timedelta(seconds=5)
