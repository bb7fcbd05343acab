"""Who is present and who has died: real processes that end in every way."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.builders import wait_for
from worker_service import presence

PROGRAM = """
import sys, time
from worker_service.presence import Presence
mine = Presence()
mine.begin()
print("present", flush=True)
sys.stdin.readline()
mine.end()
print("left", flush=True)
time.sleep(60)
"""


@pytest.fixture
def present(tmp_path):
    """Starts a process that is present until it reads a line."""
    processes = []

    def start() -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM],
            env={**os.environ, presence.DIRECTORY: str(tmp_path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        assert process.stdout.readline() == "present\n"
        return process

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def test_who_lives_is_not_dead(present, tmp_path):
    process = present()
    assert list(presence.dead(tmp_path)) == []
    os.kill(process.pid, signal.SIGSTOP)  # that holds its work, too
    assert list(presence.dead(tmp_path)) == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_who_died_is_told_of_once(present, tmp_path, number):
    process, other = present(), present()
    process.send_signal(number)
    assert wait_for(lambda: list(presence.dead(tmp_path))) == [process.pid]
    assert list(presence.dead(tmp_path)) == []
    assert [path.name for path in tmp_path.iterdir()] == [str(other.pid)]


def test_who_leaves_in_order_has_not_died(present, tmp_path):
    process = present()
    process.stdin.write("\n")
    process.stdin.flush()
    assert process.stdout.readline() == "left\n"
    assert list(tmp_path.iterdir()) == []
    process.kill()
    process.wait()
    assert list(presence.dead(tmp_path)) == []


def test_where_nobody_looks_nobody_is_present(monkeypatch):
    monkeypatch.delenv(presence.DIRECTORY, raising=False)
    mine = presence.Presence()
    mine.begin()
    mine.end()


def test_one_start_of_a_worker_gives_other_names_than_the_next(monkeypatch):
    names = []
    for _ in range(2):
        folder = presence.directory()
        monkeypatch.setenv(presence.DIRECTORY, str(folder))
        names.append(presence.name(24))
        Path(folder).rmdir()
    assert names[0] != names[1]
    assert all(name.endswith(":24") and len(name.split(":")) == 3 for name in names)
