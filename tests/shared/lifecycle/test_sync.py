"""A sync follows its task: whatever ends the task ends the sync, with its reason."""

import datetime as dt
import uuid

import pytest

from shared import database
from shared.database import Sessions
from shared.errors import Cancelled
from shared.lifecycle import task as lifecycle
from shared.models.mirror import Sync, SyncKind, SyncState
from shared.models.task import Task
from shared.tasks import SYNC_NVD_UPDATES, ask

LEASE = dt.timedelta(seconds=30)


def claimed_with_sync(sessions: Sessions) -> Task:
    with database.transaction(sessions) as session:
        task_id = ask(session, SYNC_NVD_UPDATES, days_back=7, full=False)
        task = lifecycle.claim(session, task_id, "worker", LEASE)
        assert task is not None
        session.add(Sync(kind=SyncKind.UPDATE, source="x", task_id=task_id, started_at=database.now(session)))
        return task


def state(sessions: Sessions, task_id: uuid.UUID) -> tuple[SyncState, str | None, bool]:
    with database.reading(sessions) as session:
        (sync,) = session.query(Sync).where(Sync.task_id == task_id)
        return sync.state, sync.error, sync.finished_at is not None


def test_it_completes_with_its_task(sessions: Sessions):
    task = claimed_with_sync(sessions)
    with database.transaction(sessions) as session:
        lifecycle.succeed(session, lifecycle.guard(session, task.id, task.epoch), None)
    assert state(sessions, task.id) == (SyncState.COMPLETED, None, True)


def test_it_fails_with_its_task_and_says_why(sessions: Sessions):
    task = claimed_with_sync(sessions)
    with database.transaction(sessions) as session:
        lifecycle.fail(session, task.id, task.epoch, "no route")
    assert state(sessions, task.id) == (SyncState.FAILED, "no route", True)


def test_between_attempts_it_runs_and_says_why_the_last_one_failed(sessions: Sessions):
    task = claimed_with_sync(sessions)
    with database.transaction(sessions) as session:
        lifecycle.retry(session, task.id, task.epoch, "503", delay=0.0)
    assert state(sessions, task.id) == (SyncState.RUNNING, "503", False)
    with database.transaction(sessions) as session:
        assert lifecycle.claim(session, task.id, "worker", LEASE) is not None
    assert state(sessions, task.id) == (SyncState.RUNNING, "503", False)


def test_it_is_cancelled_with_its_task(sessions: Sessions):
    task = claimed_with_sync(sessions)
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, task.id)
    with pytest.raises(Cancelled), database.transaction(sessions) as session:
        lifecycle.guard(session, task.id, task.epoch)
    with database.transaction(sessions) as session:
        lifecycle.fail(session, task.id, task.epoch, "cancelled")
    assert state(sessions, task.id) == (SyncState.CANCELLED, "cancelled", True)


def test_it_fails_when_its_workers_are_lost_for_good(sessions: Sessions):
    task = claimed_with_sync(sessions)
    for _ in range(lifecycle.MAX_LOSSES):
        with database.transaction(sessions) as session:
            session.get_one(Task, task.id).run_after = database.now(session)
            lifecycle.claim(session, task.id, "worker", LEASE)
            lifecycle.expire(session, session.get_one(Task, task.id))
    found, error, ended = state(sessions, task.id)
    assert (found, ended) == (SyncState.FAILED, True)
    assert "stopped answering" in error
