"""How the process of a suspect is watched: real processes, and a database only where the task's row is to tell."""

import signal
import subprocess
import sys
import uuid
from contextlib import nullcontext

import pytest

from shared.errors import Cancelled, Stopping, Transient
from shared.models.task import TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS
from tests.builders import ago, ask_for, change, read
from worker_service import isolation
from worker_service.tasks import Done, Door


class Suspect:
    """Tells when it has to stop."""

    def __init__(self, reason: Exception | None = None) -> None:
        self.task_id, self.epoch, self.reason = uuid.uuid4(), 3, reason

    def raise_if_cancelled(self) -> None:
        if self.reason is not None:
            raise self.reason


def see_through(suspect: Suspect) -> str | None:
    """What it died of, with no lease to keep and 1 s to stop."""
    return isolation.see_through(suspect, nullcontext(), 1.0)


@pytest.fixture
def app(tmp_path, monkeypatch):
    """What the process loads: a module whose frame does with the task what a test says."""

    def make(code: str) -> None:
        lines = ["import os, re, signal, sys, threading, time", "class Frame:"]
        lines += ["    stopped = threading.Event()", "    def stop(self): self.stopped.set()"]
        lines += [f"    def resume(self, task_id, epoch): {code}", "frame = Frame()"]
        (tmp_path / "app_of_a_test.py").write_text("\n".join(lines))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv(isolation.APP, "app_of_a_test")

    return make


def test_who_settles_its_task_dies_of_nothing(app, tmp_path):
    app(f"open({str(tmp_path / 'told')!r}, 'w').write(f'{{task_id}} {{epoch}}')")
    suspect = Suspect()
    assert see_through(suspect) is None
    assert (tmp_path / "told").read_text() == f"{suspect.task_id} 3"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by SIGKILL"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", "was killed by SIGSEGV"),
        ("os._exit(3)", "ended with exit code 3"),
        (
            "from worker_service import isolation as i; i.GRACE_SECONDS = 0.5; i.end_when_overdue(0.5); time.sleep(60)",
            "did not stop when its time was up",
        ),
    ],
)
def test_what_it_died_of_is_told(app, code, how):
    app(code)
    assert see_through(Suspect()) == how


def test_what_was_out_of_its_hands_is_not_its_doing(app):
    app("raise ConnectionError('the database is away')")
    assert see_through(Suspect()) is None


@pytest.fixture
def told_to_stop(tmp_path, monkeypatch):
    """Has the process be sent a signal while it loads its app."""

    def send(number: signal.Signals) -> None:
        lines = ["import os, signal", "signal.signal(signal.SIGINT, signal.SIG_DFL)"]
        lines += [f"os.kill(os.getpid(), {number:d})", "raise SystemExit(3)"]
        (tmp_path / "app_of_a_test.py").write_text("\n".join(lines))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setenv(isolation.APP, "app_of_a_test")

    return send


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_who_is_told_to_stop_before_it_listens_has_not_begun(told_to_stop, number):
    told_to_stop(number)
    with pytest.raises(isolation.NotBegun):
        see_through(Suspect())


def test_who_could_not_load_the_code_has_not_begun(tmp_path, monkeypatch):
    (tmp_path / "app_of_a_test.py").write_text("raise ImportError('half deployed')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv(isolation.APP, "app_of_a_test")
    with pytest.raises(isolation.NotBegun, match="could not load"):
        see_through(Suspect())


def test_who_could_not_be_started_has_not_begun(monkeypatch):
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(isolation.NotBegun, match="No such file"):
        see_through(Suspect())


@pytest.mark.parametrize("how", ["told to stop", "not started"])
def test_a_suspect_that_was_not_begun_is_handed_back_uncounted_and_waits(
    frame, sessions, told_to_stop, monkeypatch, how
):
    frame.doors[CLEANUP_OLD_NOTIFICATIONS] = Door(CLEANUP_OLD_NOTIFICATIONS, lambda _work, **_: Done(), 60.0)
    task = ask_for(sessions)
    change(sessions, task.id, losses=2, crashes=2, attempt=2)
    monkeypatch.setattr(isolation, "PAUSE_SECONDS", 600.0)
    if how == "told to stop":
        told_to_stop(signal.SIGTERM)
    else:
        monkeypatch.setattr(sys, "executable", "/nowhere/python")
    frame.answer(task.queue)
    row = read(sessions, task.id)
    assert (row.state, row.attempt, row.losses, row.lease_until) == (TaskState.PENDING, 2, 2, None)
    assert row.epoch == task.epoch + 2
    assert row.run_after > ago(sessions, seconds=-300)


def test_it_stops_with_its_worker(app, tmp_path):
    up, told = tmp_path / "up", tmp_path / "told"
    app(f"open({str(up)!r}, 'w').close(); self.stopped.wait(20) and open({str(told)!r}, 'w').close()")

    class Stopped(Suspect):
        def raise_if_cancelled(self) -> None:
            if up.exists():
                raise Stopping

    with pytest.raises(Stopping):
        see_through(Stopped())
    assert told.exists()


@pytest.mark.parametrize("reason", [Cancelled("asked to stop"), Transient("took longer than 2 s")])
def test_who_does_not_stop_is_killed(app, reason):
    app("time.sleep(60)")
    how = see_through(Suspect(reason))
    assert how is not None
    assert how.startswith("did not stop and was killed")
    assert reason.detail in how


def test_code_that_never_lets_go_of_the_interpreter_ends_with_where_it_hangs(tmp_path):
    (tmp_path / "app_of_a_test.py").write_text(
        "import re\n"
        "class Frame:\n"
        "    def stop(self): pass\n"
        "    def resume(self, task_id, epoch): re.match('(a+)+b', 'a' * 40)\n"
        "frame = Frame()\n"
    )
    program = (
        "import sys; from worker_service import alone, lifeline; lifeline.FROZEN_SECONDS = 2; "
        f"sys.argv = ['alone', 'app_of_a_test', '{uuid.uuid4()}', '1']; sys.path.insert(0, {str(tmp_path)!r}); "
        "alone.main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 1
    assert "in resume" in done.stderr
