"""Notifications over HTTP."""

import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.notification import Notification, Priority
from shared.models.task import Task


@pytest.fixture
def notified(sessions):
    """Gives a caller a notification."""

    def make(who, kind="scan_completed"):
        with database.transaction(sessions) as session:
            made = Notification(
                id=uuid.uuid4(),
                user_id=who.user_id,
                type=kind,
                title="Scan completed",
                message="3 findings",
                priority=Priority.HIGH,
                dedupe_key=uuid.uuid4().hex,
                created_at=database.now(session),
            )
            session.add(made)
        return made

    return make


def test_everybody_sees_their_own_only(viewer, analyst, admin, notified):
    mine = notified(viewer)
    notified(analyst)
    assert [each["id"] for each in viewer.get("/notifications").json] == [str(mine.id)]
    assert admin.get("/notifications").json == []
    for other in (analyst, admin):
        assert other.patch(f"/notifications/{mine.id}", {"read": True}).status_code == 404


def test_reading_is_marked_kept_and_taken_back(viewer, notified):
    path = f"/notifications/{notified(viewer).id}"
    read = viewer.patch(path, {"read": True}).json["read_at"]
    assert read is not None
    assert viewer.patch(path, {"read": True}).json["read_at"] == read
    assert viewer.get("/notifications?unread=true").json == []
    assert viewer.patch(path, {"read": False}).json["read_at"] is None
    assert len(viewer.get("/notifications?unread=true").json) == 1


def test_all_are_marked_as_read_but_nobody_elses(viewer, analyst, notified):
    notified(viewer)
    notified(viewer)
    notified(analyst)
    assert viewer.post("/notifications/read-all").json == {"read": 2}
    assert viewer.post("/notifications/read-all").json == {"read": 0}
    assert len(analyst.get("/notifications?unread=true").json) == 1


def test_they_are_filtered_by_type(viewer, notified):
    notified(viewer)
    notified(viewer, "scan_failed")
    assert [each["type"] for each in viewer.get("/notifications?type=scan_failed").json] == ["scan_failed"]


def test_sending_asks_for_the_task_that_does_it(admin, viewer, sessions, rung):
    body = {"user_id": str(viewer.user_id), "title": "Hello", "message": "There"}
    answer = admin.post("/notifications", body)
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/tasks/{answer.json['task_id']}"
    assert [str(ring.task_id) for ring in rung] == [answer.json["task_id"]]
    with database.reading(sessions) as session:
        task = session.scalars(sa.select(Task)).one()
    assert (task.name, task.arguments["title"]) == ("send_notification_async", "Hello")
    assert task.arguments["priority"] == "normal"


def test_sending_is_for_admins_and_to_users_that_exist(admin, analyst):
    body = {"user_id": str(uuid.uuid4()), "title": "Hello", "message": "There"}
    assert admin.post("/notifications", body).status_code == 404
    assert analyst.post("/notifications", body).status_code == 403


@pytest.mark.parametrize("read", ["true", 1, None])
def test_read_is_true_or_false(viewer, notified, read):
    assert viewer.patch(f"/notifications/{notified(viewer).id}", {"read": read}).status_code == 422
