"""Deliveries over HTTP."""

import datetime as dt
import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle import dispatch
from shared.lifecycle.dispatch import Ended, Policy
from shared.lifecycle.notification import News, write
from shared.models.channel import ChannelState
from shared.models.notification import Delivery, Outcome, Priority
from shared.models.task import Task
from tests.api_service.resources.test_channels import create, stop

REFUSED = Ended(Outcome.REFUSED, 404, 0.1, "answered 404")


@pytest.fixture
def send(sessions):
    """Tells somebody something, and attempts its deliveries with this end."""

    def send(who, ended=REFUSED, title="Scan completed"):
        with database.transaction(sessions) as session:
            news = News("scan_completed", title, "…", Priority.NORMAL, uuid.uuid4().hex)
            notification, _ = write(session, who.user_id, news)
            dispatch.fan_out(session, notification)
            rows = session.scalars(
                sa.select(Delivery).where(
                    Delivery.notification_id == notification.id, Delivery.channel_id.is_not(None)
                )
            ).all()
            for each in rows:
                if ended and (sending := dispatch.begin(session, each.id)):
                    dispatch.record(session, sending, ended, Policy())
            return [str(each.id) for each in rows]

    return send


def test_a_delivery_shows_every_attempt(viewer, send):
    create(viewer)
    (made,) = send(viewer)
    (shown,) = viewer.get("/deliveries?channel=webhook").json
    assert (shown["id"], shown["state"], shown["error"]) == (made, "failed", "answered 404")
    assert (shown["title"], shown["type"]) == ("Scan completed", "scan_completed")
    assert shown["message_id"] == f"msg_{uuid.UUID(made).hex}"
    (attempt,) = shown["attempts"]
    assert (attempt["status"], attempt["outcome"], attempt["seconds"]) == (404, "refused", 0.1)


def test_they_are_filtered(viewer, send):
    first, second = create(viewer), create(viewer)
    send(viewer)
    (shown, _) = viewer.get("/deliveries?channel=webhook").json
    assert len(viewer.get("/deliveries").json) == 3
    assert len(viewer.get("/deliveries?channel=in_app&state=delivered").json) == 1
    assert len(viewer.get(f"/deliveries?channel_id={first['id']}").json) == 1
    assert len(viewer.get(f"/deliveries?notification_id={shown['notification_id']}").json) == 3
    assert viewer.get("/deliveries?state=pending").json == []
    day = dt.datetime.now(dt.UTC).date()
    tomorrow = (day + dt.timedelta(2)).isoformat()
    assert viewer.get(f"/deliveries?since={tomorrow}T00:00:00Z").json == []
    assert len(viewer.get(f"/deliveries?until={tomorrow}T00:00:00Z&channel_id={second['id']}").json) == 1
    for wrong in ("state=lost", "channel=fax", "since=soon", "since=0001-01-01T00:00:00%2B14:00"):
        assert viewer.get(f"/deliveries?{wrong}").status_code == 422, wrong


def test_nobody_else_sees_or_sends_them(viewer, analyst, admin, send):
    channel = create(viewer)
    (made,) = send(viewer)
    span = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    for other in (analyst, admin):
        assert other.get("/deliveries").json == []
        assert other.get(f"/deliveries?channel_id={channel['id']}").json == []
        assert other.post(f"/deliveries/{made}/redeliver").status_code == 404
        assert other.post("/deliveries/redeliver", span).json == {"redelivered": 0}
        assert other.post("/deliveries/redeliver", {**span, "channel_id": channel["id"]}).status_code == 404
    assert viewer.get("/deliveries?channel=webhook").json[0]["state"] == "failed"


def test_what_failed_is_sent_again_under_the_same_id(viewer, send, sessions):
    create(viewer)
    (made,) = send(viewer)
    before = viewer.get("/deliveries?channel=webhook").json[0]
    again = viewer.post(f"/deliveries/{made}/redeliver").json
    assert (again["state"], again["ended_at"], again["message_id"]) == ("pending", None, before["message_id"])
    assert len(again["attempts"]) == 1
    with database.reading(sessions) as session:
        tasks = session.scalars(sa.select(Task)).all()
    assert [task.arguments["delivery_id"] for task in tasks] == [made] * 2
    assert viewer.post(f"/deliveries/{made}/redeliver").status_code == 409


def test_only_what_failed_can_be_sent_again(viewer, send, sessions):
    channel = create(viewer)
    (done,) = send(viewer, Ended(Outcome.DELIVERED, 204, 0.1, "answered 204"))
    (in_app,) = viewer.get("/deliveries?channel=in_app").json
    for each in (done, in_app["id"]):
        assert viewer.post(f"/deliveries/{each}/redeliver").status_code == 409
    (failed,) = send(viewer)
    stop(sessions, channel, ChannelState.DISABLED)
    answer = viewer.post(f"/deliveries/{failed}/redeliver")
    assert (answer.status_code, answer.json["detail"]) == (409, "The channel is disabled; resume it first.")


def test_a_range_of_time_is_sent_again(viewer, send, sessions):
    first, second = create(viewer), create(viewer)
    early, middle, late = (send(viewer) for _ in range(3))
    with database.transaction(sessions) as session:
        for day, ids in enumerate((early, middle, late), start=1):
            session.execute(
                sa.update(Delivery)
                .where(Delivery.id.in_([uuid.UUID(each) for each in ids]))
                .values(created_at=dt.datetime(2026, 6, day, tzinfo=dt.UTC))
            )
    span = {"since": "2026-06-01T00:00:00Z", "until": "2026-06-03T00:00:00Z"}
    one = viewer.post("/deliveries/redeliver", {**span, "channel_id": first["id"]})
    assert one.json == {"redelivered": 2}
    assert viewer.post("/deliveries/redeliver", span).json == {"redelivered": 2}
    assert viewer.post("/deliveries/redeliver", span).json == {"redelivered": 0}
    failed = {each["id"] for each in viewer.get("/deliveries?state=failed").json}
    assert failed == set(late)
    assert second["id"]
    backwards = {"since": span["until"], "until": span["since"]}
    assert viewer.post("/deliveries/redeliver", backwards).status_code == 422


def test_the_example_of_a_range_works(viewer):
    example = {"since": "2026-10-01T00:00:00+00:00", "until": "2026-10-02T00:00:00+00:00"}
    assert viewer.post("/deliveries/redeliver", example).json == {"redelivered": 0}
