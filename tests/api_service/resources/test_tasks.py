"""Tasks, queues and dead letters over HTTP."""

import datetime as dt
import threading
import time
import uuid

import pytest
import sqlalchemy as sa

from api_service.app import create_app
from shared import database
from shared.doorbell import make_broker, open_doorbell
from shared.lifecycle import task as lifecycle
from shared.models.task import Task, TaskState
from shared.tasks import CLEANUP_OLD_NOTIFICATIONS, IMPORT_NVD_FEED, Asking, Ring, ask

LEASE = dt.timedelta(seconds=60)


@pytest.fixture
def asked(sessions):
    """Asks for a task."""

    def make(name=CLEANUP_OLD_NOTIFICATIONS, how=None, **arguments):
        arguments = arguments or {"days_old": 30}
        with database.transaction(sessions) as session:
            return session.get_one(Task, ask(session, name, how or Asking(), **arguments))

    return make


@pytest.fixture
def dead(sessions, asked):
    """Makes a dead letter."""

    def make():
        task = asked()
        with database.transaction(sessions) as session:
            held = lifecycle.claim(session, task.id, "worker-1", LEASE)
            lifecycle.fail(session, task.id, held.epoch, "it broke")
        return task

    return make


def test_a_task_shows_where_it_stands(viewer, asked, sessions):
    task = asked()
    assert viewer.get(f"/tasks/{task.id}").json["state"] == "PENDING"
    with database.transaction(sessions) as session:
        held = lifecycle.claim(session, task.id, "worker-1", LEASE)
        lifecycle.report(session, task.id, held.epoch, "counting", 3, 12)
    shown = viewer.get(f"/tasks/{task.id}").json
    assert shown["state"] == "PROGRESS"
    assert shown["progress"] == {"stage": "counting", "current": 3, "total": 12, "percent": 25}


def test_a_task_that_lost_its_workers_tells_which_and_when(viewer, asked, sessions):
    task = asked()
    with database.transaction(sessions) as session:
        lifecycle.expire(session, lifecycle.claim(session, task.id, "worker-1", LEASE))
    held = viewer.get(f"/tasks/{task.id}").json
    assert (held["state"], held["losses"], held["error"]) == (
        "PENDING",
        1,
        "worker worker-1 stopped answering",
    )
    (lost,) = held["history"]
    assert abs(dt.datetime.fromisoformat(lost.pop("at")) - dt.datetime.now(dt.UTC)) < dt.timedelta(minutes=1)
    assert lost == {"worker": "worker-1", "attempt": 1, "what": "worker worker-1 stopped answering"}


def test_arguments_are_for_admins_since_a_message_may_be_among_them(viewer, admin, dead):
    task = dead()
    assert "arguments" not in viewer.get(f"/tasks/{task.id}").json
    assert "arguments" not in viewer.get("/tasks").json[0]
    assert admin.get("/queues/default/dead").json[0]["arguments"] == {"days_old": 30}


def test_tasks_are_filtered_and_paged_newest_first(viewer, asked):
    made = [asked(), asked(IMPORT_NVD_FEED, path="/feeds/a.json"), asked()]
    assert len(viewer.get("/tasks?queue=default&state=PENDING").json) == 3
    assert viewer.get("/tasks?queue=scans").json == []
    assert [task["id"] for task in viewer.get(f"/tasks?name={IMPORT_NVD_FEED}").json] == [str(made[1].id)]
    first = viewer.get("/tasks?page_size=2")
    second = viewer.get("/tasks?page_size=2&page=2")
    ids = [task["id"] for task in [*first.json, *second.json]]
    assert set(ids) == {str(task.id) for task in made}
    assert ids[0] == str(made[2].id) or ids[0] == str(made[1].id)


@pytest.mark.parametrize(
    "query",
    [
        "state=SLEEPING",
        "queue=x",
        "page=0",
        "page_size=201",
        "page=x",
        "page=1_0",
        "page=%D9%A3",
        "sate=PENDING",
        "name=%00",
    ],
)
def test_a_wrong_filter_is_422(viewer, query):
    answer = viewer.get(f"/tasks?{query}")
    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"


def test_a_page_far_beyond_the_last_is_empty(viewer, asked):
    asked()
    answer = viewer.get("/tasks?page=2147483647&page_size=200")
    assert (answer.status_code, answer.json) == (200, [])
    assert viewer.get(f"/tasks?page={10**30}").status_code == 422


def test_waiting_ends_when_the_task_does_and_holds_no_connection_meanwhile(viewer, asked, sessions, engine):
    task = asked()
    answers = []
    thread = threading.Thread(target=lambda: answers.append(viewer.get(f"/tasks/{task.id}?wait=30")))
    began = time.monotonic()
    thread.start()
    idle = 0
    for _ in range(20):
        idle += engine.pool.checkedout() == 0
        time.sleep(0.02)
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, task.id)
    thread.join(10)
    assert answers[0].json["state"] == "REVOKED"
    assert time.monotonic() - began < 10
    assert idle > 10


def test_waiting_is_over_when_its_time_is(viewer, asked):
    assert viewer.get(f"/tasks/{asked().id}?wait=1").json["state"] == "PENDING"
    assert viewer.get(f"/tasks/{asked().id}?wait=31").status_code == 422


def test_when_half_of_the_threads_stay_long_a_wait_answers_at_once(viewer, asked, app):
    places = app.extensions["vedette"].long_lived
    while places.acquire(blocking=False):
        pass
    began = time.monotonic()
    assert viewer.get(f"/tasks/{asked().id}?wait=30").status_code == 200
    assert time.monotonic() - began < 10


def test_a_pending_task_is_revoked_at_once_and_a_second_cancel_is_409(admin, asked):
    task = asked()
    cancelled = admin.post(f"/tasks/{task.id}/cancel")
    assert (cancelled.status_code, cancelled.json["state"]) == (200, "REVOKED")
    assert admin.post(f"/tasks/{task.id}/cancel").status_code == 409
    assert admin.post(f"/tasks/{uuid.uuid4()}/cancel").status_code == 404


def test_others_work_is_not_an_analysts_to_cancel_but_ones_own_is(analyst, viewer, asked):
    assert analyst.post(f"/tasks/{asked().id}/cancel").status_code == 403
    assert analyst.post(f"/tasks/{asked(how=Asking(asked_by=analyst.user_id)).id}/cancel").status_code == 200
    assert viewer.post(f"/tasks/{asked().id}/cancel").status_code == 403


def test_queues_count_what_waits_is_delayed_runs_and_is_dead(viewer, asked, dead, sessions):
    dead()
    running = asked()
    waiting = asked()
    with database.transaction(sessions) as session:
        later = database.now(session) + dt.timedelta(hours=1)
        lifecycle.claim(session, running.id, "worker-1", LEASE)
        session.execute(
            sa.update(Task).where(Task.id == waiting.id).values(run_after=later - dt.timedelta(hours=2))
        )
    asked(how=Asking(run_after=later))
    retried = asked()
    with database.transaction(sessions) as session:
        held = lifecycle.claim(session, retried.id, "worker-2", LEASE)
        lifecycle.retry(session, retried.id, held.epoch, "not yet", delay=600)
    default, scans, notifications = viewer.get("/queues").json
    assert default.pop("oldest_pending_seconds") == pytest.approx(3600, abs=60)
    assert default == {
        "queue": "default",
        "waiting": 1,
        "delayed": 2,
        "running": 1,
        "dead": 1,
        "workers_busy": 1,
        "ended_last_minute": 1,
        "workers_alive": None,
    }
    assert (scans["queue"], scans["waiting"], scans["oldest_pending_seconds"]) == ("scans", 0, None)
    assert notifications["queue"] == "notifications"


def test_workers_are_alive_while_they_show_it_and_who_only_asks_is_none(
    settings, sessions, redis_url, viewer
):
    viewer.client = create_app(settings.with_changes(redis_url=redis_url), sessions).test_client()
    open_doorbell(redis_url)([Ring(uuid.uuid4(), CLEANUP_OLD_NOTIFICATIONS, "default")])
    before = viewer.get("/queues").json[0]["workers_alive"]
    next(make_broker(redis_url, timeout=5).consume("default", timeout=10))
    assert viewer.get("/queues").json[0]["workers_alive"] == before + 1


def test_a_dead_letter_is_listed_and_requeued_once(admin, dead, rung):
    task = dead()
    assert [letter["id"] for letter in admin.get("/queues/default/dead").json] == [str(task.id)]
    rung.clear()
    answer = admin.post(f"/queues/default/dead/{task.id}/requeue")
    assert (answer.status_code, answer.json["state"]) == (202, TaskState.PENDING)
    assert answer.headers["Location"] == f"/api/v1/tasks/{task.id}"
    assert [ring.task_id for ring in rung] == [task.id]
    assert admin.post(f"/queues/default/dead/{task.id}/requeue").status_code == 409


def test_dead_letters_are_looked_for_in_their_queue_and_for_admins(admin, analyst, dead):
    task = dead()
    assert admin.post(f"/queues/scans/dead/{task.id}/requeue").status_code == 404
    assert admin.get("/queues/nowhere/dead").status_code == 404
    assert admin.get("/queues/a%00b/dead").status_code == 404
    assert analyst.get("/queues/default/dead").status_code == 403
