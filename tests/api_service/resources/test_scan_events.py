"""Server-sent events about a run."""

import json
import socket
import uuid

import pytest

from api_service.resources import scan_events
from api_service.services import scans
from shared import database
from tests.api_service.resources.test_scans import Worker

SCANS = "/vulnerabilities/scans"


@pytest.fixture
def scan(analyst):
    asset_id = analyst.post("/assets", {"name": "web shop", "kind": "application"}).json["id"]
    definition = {"name": "weekly", "asset_id": asset_id, "scanner": "sbom"}
    return f"{SCANS}/" + analyst.post(SCANS, definition).json["id"]


@pytest.fixture
def worker(sessions):
    return Worker(sessions)


def events(text):
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if "event" in fields:
            found.append((fields["event"], json.loads(fields["data"])))
    return found


def first_look(sessions, started):
    with database.reading(sessions) as session:
        return scans.scan_status(session, uuid.UUID(started.json["id"]))


def test_a_scan_without_a_run_tells_its_status_and_ends(viewer, scan):
    answer = viewer.get(f"{scan}/events")
    assert answer.status_code == 200
    assert answer.content_type.startswith("text/event-stream")
    assert (answer.headers["Cache-Control"], answer.headers["X-Accel-Buffering"]) == ("no-store", "no")
    (progress, status), (end, _) = events(answer.text)
    assert (progress, status["scan_status"], end) == ("progress", "pending", "end")


def test_every_change_is_told_once_until_the_end(analyst, scan, worker, sessions):
    started = analyst.post(f"{scan}/start")
    steps = iter(
        [
            lambda: None,
            lambda: worker.claim(started),
            lambda: worker.report("matching", 1, 4),
            lambda: None,
            lambda: worker.report("matching", 4, 4),
            worker.succeed,
        ]
    )
    stream = scan_events.follow(sessions, first_look(sessions, started), sleep=lambda _: next(steps)())
    told = events("".join(stream))
    assert [(name, data["scan_status"]) for name, data in told] == [
        ("progress", "queued"),
        ("progress", "running"),
        ("progress", "running"),
        ("progress", "running"),
        ("progress", "completed"),
        ("end", "completed"),
    ]
    assert [data["task_info"]["current"] for _, data in told[:-1]] == [None, None, 1, 4, 4]


def test_silence_is_broken_by_a_comment(analyst, scan, sessions, worker, monkeypatch):
    monkeypatch.setattr(scan_events, "HEARTBEAT_SECONDS", 0.0)
    started = analyst.post(f"{scan}/start")
    worker.claim(started)
    steps = iter([lambda: None, lambda: None, worker.succeed])
    stream = scan_events.follow(sessions, first_look(sessions, started), sleep=lambda _: next(steps)())
    assert "".join(stream).count("\n: still there\n\n") >= 2


def test_a_scan_that_is_deleted_ends_the_stream(analyst, scan, sessions):
    started = analyst.post(f"{scan}/start")

    def delete(_):
        analyst.post(f"{scan}/cancel")
        analyst.delete(scan)

    told = events("".join(scan_events.follow(sessions, first_look(sessions, started), sleep=delete)))
    assert [name for name, _ in told] == ["progress", "end"]


def test_no_connection_is_held_between_two_looks(analyst, scan, sessions, engine, worker):
    started = analyst.post(f"{scan}/start")
    held = []

    def look(_):
        held.append(engine.pool.checkedout())
        worker.claim(started)
        worker.succeed()

    list(scan_events.follow(sessions, first_look(sessions, started), sleep=look))
    assert held == [0]


@pytest.fixture
def settings(settings):
    return settings.with_changes(api_threads=4)


def test_half_of_the_threads_stream_and_a_client_that_leaves_frees_its_place(analyst, scan):
    analyst.post(f"{scan}/start")
    open_streams = [analyst.get(f"{scan}/events", buffered=False) for _ in range(2)]
    for each in open_streams:
        assert b"retry" in next(iter(each.iter_encoded()))
    refused = analyst.get(f"{scan}/events")
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    assert refused.content_type == "application/problem+json"
    assert analyst.get(f"{scan}/status").status_code == 200
    open_streams[0].close()
    another = analyst.get(f"{scan}/events", buffered=False)
    assert another.status_code == 200
    another.close()
    open_streams[1].close()


def test_heads_free_their_places_too(analyst, scan):
    analyst.post(f"{scan}/start")
    for _ in range(5):
        answer = analyst.ask("HEAD", f"{scan}/events")
        assert (answer.status_code, answer.data) == (200, b"")
        answer.close()  # as a server does


def test_a_client_that_hangs_up_is_noticed_at_the_next_look(analyst, scan, sessions):
    started = analyst.post(f"{scan}/start")
    server, client = socket.socketpair()
    with server, client:
        is_gone = scan_events.gone_check({"gunicorn.socket": server})
        client.send(b"GET /next")  # a request on the same connection is no hanging up
        looks = iter([lambda: None, lambda: (server.recv(100), client.close())])
        stream = scan_events.follow(
            sessions, first_look(sessions, started), is_gone, sleep=lambda _: next(looks)()
        )
        assert [name for name, _ in events("".join(stream))] == ["progress"]
