"""Scans, their runs and their progress over HTTP. The worker's side is played through the life cycle's own functions."""

import datetime as dt
import threading
import uuid

import pytest
import sqlalchemy as sa

from api_service.schemas.base import EXAMPLE_ID
from shared import database
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.models.scan import Run
from shared.models.task import Task
from tests.api_service.conftest import Caller

LEASE = dt.timedelta(seconds=60)
SCANS = "/vulnerabilities/scans"


@pytest.fixture
def asset_id(analyst):
    return analyst.post("/assets", {"name": "web shop", "kind": "application"}).json["id"]


@pytest.fixture
def definition(asset_id):
    return {"name": "weekly", "asset_id": asset_id, "scanner": "sbom"}


@pytest.fixture
def scan(analyst, definition):
    """The path of a scan."""
    return f"{SCANS}/" + analyst.post(SCANS, definition).json["id"]


class Worker:
    """Moves tasks as the worker service does."""

    def __init__(self, sessions):
        self.sessions = sessions

    def claim(self, started):
        with database.transaction(self.sessions) as session:
            self.task_id = uuid.UUID(started.json["task_id"])
            self.epoch = task_lifecycle.claim(session, self.task_id, "worker:1", LEASE).epoch

    def report(self, stage, current, total):
        with database.transaction(self.sessions) as session:
            assert task_lifecycle.report(session, self.task_id, self.epoch, stage, current, total)

    def succeed(self):
        with database.transaction(self.sessions) as session:
            task = task_lifecycle.guard(session, self.task_id, self.epoch)
            run = session.scalars(sa.select(Run).where(Run.task_id == task.id)).one()
            run_lifecycle.complete(run, {"findings": 3}, 7)
            task_lifecycle.succeed(session, task, None)

    def fail(self, error="boom"):
        with database.transaction(self.sessions) as session:
            assert task_lifecycle.fail(session, self.task_id, self.epoch, error)


@pytest.fixture
def worker(sessions):
    return Worker(sessions)


def test_a_defined_scan_is_answered_found_and_listed(analyst, viewer, definition):
    created = analyst.post(SCANS, definition)
    assert created.status_code == 201
    assert created.json | definition == created.json
    assert (created.json["status"], created.json["schedule"], created.json["options"]) == (
        "pending",
        None,
        {},
    )
    assert viewer.get(created.headers["Location"]).json == created.json
    assert viewer.get(SCANS).json == [created.json]


def test_a_schedule_says_when_it_is_due(analyst, definition):
    schedule = {"cron": "30 4 * * 1", "timezone": "Europe/Berlin"}
    created = analyst.post(SCANS, {**definition, "schedule": schedule}).json
    assert created["schedule"] == schedule
    due = dt.datetime.fromisoformat(created["next_run_at"])
    assert due > dt.datetime.now(dt.UTC)
    assert (due.weekday(), due.minute, due.hour in (2, 3)) == (0, 30, True)
    path = f"{SCANS}/{created['id']}"
    assert analyst.patch(path, {"name": "renamed"}).json["next_run_at"] == created["next_run_at"]
    changed = analyst.patch(path, {"schedule": {"cron": "0 * * * *"}}).json
    assert changed["schedule"] == {"cron": "0 * * * *", "timezone": "UTC"}
    removed = analyst.patch(path, {"schedule": None}).json
    assert (removed["schedule"], removed["next_run_at"]) == (None, None)


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"name": " "}, "name"),
        ({"asset_id": EXAMPLE_ID}, "asset_id"),
        ({"asset_id": "x"}, "asset_id"),
        ({"scanner": "telepathy"}, "scanner"),
        ({"options": {"depth": 1}}, "options.depth"),
        ({"options": []}, "options"),
        ({"schedule": {"cron": "61 * * * *"}}, "schedule.cron"),
        ({"schedule": {"cron": "0 0 31 2 *"}}, "schedule.cron"),
        ({"schedule": {"cron": "@daily", "timezone": "Mars/Olympus"}}, "schedule.timezone"),
        ({"schedule": {"cron": "0 0 * * *", "timezone": "../etc/passwd"}}, "schedule.timezone"),
        ({"schedule": {}}, "schedule.cron"),
        ({"schedule": "daily"}, "schedule"),
        ({"interval": 5}, "interval"),
    ],
)
def test_a_wrong_definition_is_422_and_named(analyst, definition, scan, change, place):
    answer = analyst.post(SCANS, {**definition, **change})
    assert answer.status_code == 422
    assert place in answer.json["errors"]
    if "asset_id" not in change:
        assert analyst.patch(scan, change).status_code == 422


def test_the_asset_of_a_scan_stays(analyst, scan, asset_id):
    assert analyst.patch(scan, {"asset_id": asset_id}).status_code == 422


def test_filters(analyst, scan, definition, asset_id):
    other = analyst.post("/assets", {"name": "other", "kind": "host"}).json["id"]
    analyst.post(SCANS, {**definition, "asset_id": other, "name": "nightly"})
    analyst.post(f"{scan}/start")

    def names(query):
        answer = analyst.get(f"{SCANS}?{query}")
        assert answer.status_code == 200
        return [each["name"] for each in answer.json]

    assert names("") == ["nightly", "weekly"]
    assert names(f"asset_id={asset_id}") == ["weekly"]
    assert names("status=queued") == ["weekly"]
    assert names("status=pending") == ["nightly"]
    assert names("status=failed") == []
    assert names("name=nightly") == ["nightly"]
    assert names("name=night") == []
    assert names("q=LY") == ["nightly", "weekly"]
    assert analyst.get(f"{SCANS}?status=asleep").status_code == 422


def test_a_start_is_accepted_once(analyst, viewer, scan, rung):
    started = analyst.post(f"{scan}/start")
    assert started.status_code == 202
    assert (started.json["id"], started.json["name"], started.json["status"]) == (
        scan.removeprefix(f"{SCANS}/"),
        "weekly",
        "queued",
    )
    assert started.headers["Location"] == f"/api/v1/tasks/{started.json['task_id']}"
    assert viewer.get(started.headers["Location"]).json["state"] == "PENDING"
    assert [str(ring.task_id) for ring in rung] == [started.json["task_id"]]
    again = analyst.post(f"{scan}/start")
    assert again.status_code == 409
    assert "under way" in again.json["detail"]
    assert viewer.post(f"{scan}/start").status_code == 403


def test_a_start_sent_again_with_its_key_is_answered_again(analyst, scan):
    first, again = (analyst.post(f"{scan}/start", headers={"Idempotency-Key": "k"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (202, 202)
    assert first.json == again.json
    assert len(analyst.get(f"{scan}/runs").json) == 1


def test_of_two_starts_at_once_one_is_accepted(app, analyst, scan):
    barrier = threading.Barrier(4)
    statuses = []

    def start():
        caller = Caller(app.test_client(), analyst.token, analyst.user_id)
        barrier.wait()
        statuses.append(caller.post(f"{scan}/start").status_code)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 409, 409, 409]
    assert len(analyst.get(f"{scan}/runs").json) == 1


def test_the_status_follows_run_and_task_to_the_end(analyst, scan, worker, sessions):
    def status():
        found = analyst.get(f"{scan}/status").json
        assert analyst.get(scan).json["status"] == found["scan_status"]
        return found["scan_status"], found["task_state"], tuple(found["task_info"].values())

    nothing = (None, None, None, None)
    assert status() == ("pending", None, nothing)
    started = analyst.post(f"{scan}/start")
    assert status() == ("queued", "PENDING", nothing)
    worker.claim(started)
    assert status() == ("running", "STARTED", nothing)
    worker.report("matching", 1, 4)
    assert status() == ("running", "PROGRESS", ("matching", 1, 4, 25))
    worker.report("recording", 0, 36)
    worker.succeed()
    assert status() == ("completed", "SUCCESS", ("recording", 36, 36, 100))
    with database.transaction(sessions) as session:  # as the daily cleaning does
        session.execute(sa.delete(Task))
    assert status() == ("completed", "SUCCESS", nothing)
    assert analyst.get(f"{scan}/status").json["task_id"] == started.json["task_id"]


def test_a_failed_run_says_why(analyst, scan, worker):
    started = analyst.post(f"{scan}/start")
    worker.claim(started)
    worker.fail("the asset has no SBOM yet")
    run = analyst.get(f"{scan}/runs/{started.json['run_id']}").json
    assert (run["status"], run["error"], run["counts"]) == ("failed", "the asset has no SBOM yet", None)
    assert analyst.get(f"{scan}/status").json["task_state"] == "FAILURE"
    assert analyst.post(f"{scan}/start").status_code == 202


def test_runs_are_listed_newest_first(analyst, viewer, scan, worker):
    ids = []
    for _ in range(3):
        started = analyst.post(f"{scan}/start")
        worker.claim(started)
        worker.succeed()
        ids.insert(0, started.json["run_id"])
    listed = viewer.get(f"{scan}/runs?page_size=2")
    assert [each["id"] for each in listed.json] == ids[:2]
    assert '"total": 3' in listed.headers["X-Pagination"]
    first = viewer.get(f"{scan}/runs/{ids[0]}").json
    assert first == listed.json[0]
    assert (first["snapshot"], first["counts"], first["requested_by"]) == (
        7,
        {"findings": 3},
        str(analyst.user_id),
    )


def test_a_run_is_found_only_under_its_own_scan(analyst, scan, definition):
    run_id = analyst.post(f"{scan}/start").json["run_id"]
    other = f"{SCANS}/" + analyst.post(SCANS, definition).json["id"]
    assert analyst.get(f"{other}/runs/{run_id}").status_code == 404


class TestCancel:
    def test_a_waiting_run_is_cancelled_at_once(self, analyst, viewer, scan):
        analyst.post(f"{scan}/start")
        assert viewer.post(f"{scan}/cancel").status_code == 403
        answer = analyst.post(f"{scan}/cancel")
        assert (answer.status_code, answer.json["status"]) == (200, "cancelled")
        assert analyst.get(f"{scan}/status").json["task_state"] == "REVOKED"
        assert analyst.post(f"{scan}/start").status_code == 202

    def test_a_running_one_is_asked_to_stop_and_may_be_asked_again(self, analyst, scan, worker):
        worker.claim(analyst.post(f"{scan}/start"))
        for _ in range(2):
            assert analyst.post(f"{scan}/cancel").json["status"] == "cancelling"
        assert analyst.post(f"{scan}/start").status_code == 409
        worker.fail("cancelled")
        assert analyst.get(scan).json["status"] == "cancelled"

    def test_nothing_under_way_is_409(self, analyst, scan, worker):
        assert analyst.post(f"{scan}/cancel").status_code == 409
        worker.claim(analyst.post(f"{scan}/start"))
        worker.succeed()
        assert analyst.post(f"{scan}/cancel").status_code == 409


class TestDelete:
    def test_a_scan_goes_with_its_runs(self, analyst, scan, worker):
        worker.claim(analyst.post(f"{scan}/start"))
        worker.succeed()
        assert analyst.delete(scan).status_code == 204
        for path in ("", "/status", "/runs", "/events"):
            assert analyst.get(scan + path).status_code == 404
        for path in ("/start", "/cancel"):
            assert analyst.post(scan + path).status_code == 404

    def test_one_under_way_stays(self, analyst, admin, scan, asset_id):
        analyst.post(f"{scan}/start")
        assert analyst.delete(scan).status_code == 409
        assert admin.delete(f"/assets/{asset_id}").status_code == 409
        assert analyst.post(f"{scan}/cancel").status_code == 200
        assert admin.delete(f"/assets/{asset_id}").status_code == 204
        assert analyst.get(scan).status_code == 404
