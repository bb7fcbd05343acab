"""What a worker of several processes tells Prometheus."""

import os
import signal
import socket

import pytest
import requests

from shared.models.task import TaskState
from tests.builders import read, wait_for
from tests.flow.doors import ask_for

pytestmark = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)


@pytest.fixture
def address():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def numbers(address):
    """Every sample by its name and labels, or None while nothing answers."""
    try:
        text = requests.get(f"http://{address}/metrics", timeout=5).text
    except requests.ConnectionError:
        return None
    rows = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in rows}


def attempts(address, outcome):
    return sum(
        value
        for name, value in (numbers(address) or {}).items()
        if name.startswith("vedette_task_attempts_total") and f'outcome="{outcome}"' in name
    )


def test_all_processes_are_counted_together(sessions, worker, address):
    process = worker(VEDETTE_WORKER_PROCESSES="2", VEDETTE_WORKER_METRICS=address)
    tasks = [ask_for(sessions, seconds=0.05) for _ in range(12)]
    wait_for(lambda: all(read(sessions, task.id).state == TaskState.SUCCESS for task in tasks))
    wait_for(lambda: attempts(address, "succeeded") == 12)
    name = next(name for name in numbers(address) if name.startswith("vedette_task_attempt_seconds_sum"))
    assert 12 * 0.05 <= numbers(address)[name] < 60
    kept = list(process.folder.glob("vedette-metrics-*"))
    assert len(kept) == 1
    os.kill(process.popen.pid, signal.SIGTERM)
    wait_for(lambda: not process.group())
    assert not kept[0].exists()


def test_a_killed_worker_leaves_nobody_at_its_address(worker, address):
    process = worker(VEDETTE_WORKER_METRICS=address)
    wait_for(lambda: numbers(address) is not None)
    os.kill(process.popen.pid, signal.SIGKILL)
    wait_for(lambda: numbers(address) is None)


def test_an_address_that_is_taken_stops_no_work(sessions, worker, address):
    host, _, port = address.rpartition(":")
    with socket.socket() as taken:
        taken.bind((host, int(port)))
        taken.listen()
        worker(VEDETTE_WORKER_METRICS=address)
        task = ask_for(sessions, seconds=0.05)
        wait_for(lambda: read(sessions, task.id).state == TaskState.SUCCESS)
