"""The service as a process."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection

import pytest

from shared import database, migrations
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, ask

TOKEN = "vdt_a_token_for_the_tests_only"


@pytest.fixture
def served(tmp_path):
    """The service on a free port with a database that is not there yet; gives its port and its process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        "PATH": os.environ["PATH"],
        "VEDETTE_DATA_DIR": str(tmp_path),
        "VEDETTE_PORT": str(port),
        "VEDETTE_ADMIN_TOKEN": TOKEN,
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    log = (tmp_path / "log").open("wb")
    process = subprocess.Popen([sys.executable, "-m", "api_service"], env=environment, stdout=log, stderr=log)
    try:
        yield port, process
    finally:
        process.kill()
        process.wait()
        log.close()


def ask_for(port, path):
    connection = HTTPConnection("127.0.0.1", port, timeout=40)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {TOKEN}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    except OSError:
        return 0, None
    finally:
        connection.close()


def refused(port, sent):
    """The status of the problem that answers these bytes, which are no request."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(sent)
        head, _, body = b"".join(iter(lambda: connection.recv(65536), b"")).partition(b"\r\n\r\n")
    assert b"Content-Type: application/problem+json" in head
    return json.loads(body)["status"]


def until(port, path, status):
    for _ in range(600):  # a busy machine is slow
        if (answer := ask_for(port, path))[0] == status:
            return answer[1]
        time.sleep(0.1)
    raise AssertionError(f"{path} never answered {status}: {answer}")


def test_it_starts_without_its_database_and_ends_after_the_last_answer(served, tmp_path):
    port, process = served
    assert "migrations" in until(port, "/readyz", 503)["detail"]
    engine = database.make_engine(f"sqlite:///{tmp_path / 'vedette.sqlite3'}")
    migrations.upgrade(engine)
    until(port, "/api/v1/users", 200)
    assert refused(port, b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n") == 414
    assert refused(port, b"NONSENSE\r\n\r\n") == 400
    chunked = b"POST /api/v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    assert refused(port, chunked + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n") == 400
    with database.transaction(database.make_sessions(engine)) as session:
        task_id = ask(session, CLEANUP_OLD_NOTIFICATIONS, days_old=30)
    engine.dispose()
    answers = []
    waiting = threading.Thread(
        target=lambda: answers.append(ask_for(port, f"/api/v1/tasks/{task_id}?wait=2"))
    )
    waiting.start()
    time.sleep(0.5)
    process.send_signal(signal.SIGTERM)
    waiting.join()
    assert answers[0][0] == 200
    assert process.wait(10) == 0
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert any(line["event"] == "request" and line["path"].endswith(str(task_id)) for line in lines)
    assert TOKEN not in (tmp_path / "log").read_text()
