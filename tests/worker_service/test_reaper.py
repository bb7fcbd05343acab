"""What the reaper does about a process that died, whatever else is the matter."""

import time

import pytest
import structlog

from shared import database
from shared.lifecycle import task as lifecycle
from shared.models.task import TaskState
from tests.builders import claimed, read
from worker_service import metrics, reaper


@pytest.fixture
def reap(engine, redis_url, monkeypatch):
    """Reap what a process held; the events that were logged."""
    monkeypatch.setenv("DATABASE_URL", engine.url.render_as_string(hide_password=False))
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setattr(reaper.logs, "configure", lambda *_: None)

    def reap(worker: str) -> list[str]:
        with structlog.testing.capture_logs() as lines:
            reaper._reap(worker)
        return [line["event"] for line in lines]

    return reap


def test_what_a_dead_process_held_is_taken_away(reap, sessions):
    task = claimed(sessions)
    assert reap(task.worker) == ["process_died"]
    assert (read(sessions, task.id).state, read(sessions, task.id).crashes) == (TaskState.PENDING, 1)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_row_that_is_held_for_long_does_not_keep_the_worker_from_ending(reap, sessions, monkeypatch):
    monkeypatch.setattr(reaper, "PATIENCE_SECONDS", 0.3)
    task = claimed(sessions)
    with database.transaction(sessions) as session:
        lifecycle.guard(session, task.id, task.epoch)
        began = time.monotonic()
        assert reap(task.worker) == ["dead_not_reaped"]
        assert time.monotonic() - began < 5
    assert read(sessions, task.id).state == TaskState.STARTED  # its lease decides


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_numbers_that_cannot_be_written_stop_no_reaper(reap, sessions, monkeypatch):
    def gone(*_arguments):
        raise FileNotFoundError

    monkeypatch.setattr(metrics, "observe", gone)
    task = claimed(sessions)
    assert "process_died" in reap(task.worker)
    assert read(sessions, task.id).crashes == 1


@pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
def test_settings_that_cannot_be_used_any_more_stop_no_reaper(reap, monkeypatch):
    monkeypatch.setenv("VEDETTE_LEASE_SECONDS", "soon")
    assert reap("worker-1") == ["dead_not_reaped"]
