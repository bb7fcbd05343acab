"""Notification channels over HTTP."""

import datetime as dt
import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.encryption import Cipher
from shared.lifecycle import dispatch
from shared.lifecycle.notification import News, write
from shared.models.channel import Channel, ChannelState
from shared.models.notification import DeliveryAttempt, Notification, Outcome, Priority
from shared.models.task import Task
from shared.signatures import read_secret
from shared.tasks import TEST_NOTIFICATION_CHANNEL
from tests.builders import claim

URL = "https://hooks.example.org/services/T0/B0/s3cr3t"
CHANNELS = "/notification-channels"


@pytest.fixture
def webhook(viewer):
    return create(viewer)


def create(who, **changes):
    answer = who.post(CHANNELS, {"name": "pager", "kind": "webhook", "target": URL, **changes})
    assert answer.status_code == 201, answer.json
    return answer.json


def row(sessions, channel):
    with database.reading(sessions) as session:
        return session.get_one(Channel, uuid.UUID(channel["id"]))


def stop(sessions, channel, state):
    with database.transaction(sessions) as session:
        session.execute(
            sa.update(Channel)
            .where(Channel.id == uuid.UUID(channel["id"]))
            .values(state=state, state_reason="410")
        )


def tell(sessions, who, days_ago=0.0, hour=None, **values):
    with database.transaction(sessions) as session:
        news = News(
            **{
                "type": "scan_completed",
                "title": "Scan completed",
                "message": "…",
                "priority": Priority.NORMAL,
                "dedupe_key": uuid.uuid4().hex,
                **values,
            }
        )
        notification, _ = write(session, who.user_id, news)
        if days_ago:
            at = notification.created_at - dt.timedelta(days=days_ago)
            notification.created_at = at if hour is None else at.replace(hour=hour)
        return notification


def test_what_is_created_is_shown_without_what_is_secret(viewer, webhook, sessions, settings):
    read_secret(webhook["secret"])
    assert webhook["target"] == "https://hooks.example.org/…"
    assert (webhook["min_priority"], webhook["types"], webhook["digest"]) == ("low", None, "immediate")
    for answer in (viewer.get(f"{CHANNELS}/{webhook['id']}"), viewer.get(CHANNELS)):
        assert "s3cr3t" not in answer.text
        assert webhook["secret"] not in answer.text
    stored = row(sessions, webhook)
    assert stored.destination == "hooks.example.org:443"
    cipher = Cipher.of(settings)
    assert (cipher.decrypt(stored.target), cipher.decrypt(stored.secret)) == (URL, webhook["secret"])
    assert b"s3cr3t" not in stored.target


@pytest.mark.parametrize(
    ("kind", "target", "shown", "destination"),
    [
        ("email", "ada@example.org", "ada@example.org", "smtp"),
        (
            "chat",
            "http://Chat.Example.org:8443/hooks/x",
            "http://chat.example.org:8443/…",
            "chat.example.org:8443",
        ),
        ("webhook", "https://[2600::1]/x", "https://[2600::1]/…", "[2600::1]:443"),
    ],
)
def test_only_webhooks_have_a_secret(viewer, sessions, kind, target, shown, destination):
    channel = create(viewer, kind=kind, target=target)
    assert (channel["secret"] is None) == (kind != "webhook")
    assert channel["target"] == shown
    assert row(sessions, channel).destination == destination


def test_a_replayed_creation_shows_no_secret_and_creates_nothing(viewer):
    body = {"name": "pager", "kind": "webhook", "target": URL}
    first, second = (viewer.post(CHANNELS, body, headers={"Idempotency-Key": "k"}).json for _ in range(2))
    assert first["secret"] is not None
    assert second == {**first, "secret": None}
    assert len(viewer.get(CHANNELS).json) == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"target": "http://127.0.0.1/x"}, "target"),
        ({"target": "ftp://example.org"}, "target"),
        ({"kind": "email", "target": "ada"}, "target"),
        ({"kind": "email", "target": "ada@example.org\r\nBcc: x@example.org"}, "target"),
        ({"kind": "fax"}, "kind"),
        ({"min_priority": "urgent"}, "min_priority"),
        ({"types": []}, "types"),
        ({"types": ["No such"]}, "types.0"),
        ({"quiet_hours": {"from": "22:00", "to": "22:00"}}, "quiet_hours.to"),
        ({"quiet_hours": {"from": "24:00", "to": "07:00"}}, "quiet_hours.from"),
        (
            {"quiet_hours": {"from": "22:00", "to": "07:00", "timezone": "Mars/Olympus"}},
            "quiet_hours.timezone",
        ),
        ({"digest": "weekly"}, "digest"),
        ({"name": " "}, "name"),
    ],
)
def test_what_cannot_be_used_is_refused_with_its_place(viewer, changes, field):
    answer = viewer.post(CHANNELS, {"name": "pager", "kind": "webhook", "target": URL, **changes})
    assert (answer.status_code, list(answer.json["errors"])) == (422, [field])
    assert viewer.get(CHANNELS).json == []


def test_a_channel_is_changed_where_it_is_said(viewer, webhook, sessions):
    quiet = {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"}
    changes = {"min_priority": "high", "types": ["new_findings"], "quiet_hours": quiet, "digest": "daily"}
    path = f"{CHANNELS}/{webhook['id']}"
    changed = viewer.patch(path, changes).json
    assert {name: changed[name] for name in changes} == changes
    assert changed["name"] == "pager"
    moved = viewer.patch(path, {"target": "https://other.example.org/y", "quiet_hours": None}).json
    assert (moved["target"], moved["quiet_hours"]) == ("https://other.example.org/…", None)
    assert row(sessions, webhook).destination == "other.example.org:443"
    assert viewer.patch(path, {"target": "http://10.0.0.1/"}).status_code == 422
    assert viewer.patch(path, {"kind": "chat"}).status_code == 422


def test_nobody_else_sees_or_touches_a_channel(viewer, analyst, admin, webhook):
    path = f"{CHANNELS}/{webhook['id']}"
    for other in (analyst, admin):
        assert other.get(CHANNELS).json == []
        for method, rule in (
            ("GET", ""),
            ("PATCH", ""),
            ("DELETE", ""),
            ("POST", "/test"),
            ("POST", "/rotate-secret"),
            ("POST", "/resume"),
            ("POST", "/preview"),
        ):
            body = {"json": {}} if method == "PATCH" else {}
            assert other.ask(method, path + rule, **body).status_code == 404, (method, rule)
    assert viewer.get(path).status_code == 200


def test_a_user_has_twenty_channels_at_most(viewer, analyst):
    for _ in range(20):
        create(viewer)
    answer = viewer.post(CHANNELS, {"name": "one more", "kind": "webhook", "target": URL})
    assert answer.status_code == 409
    create(analyst)


def test_a_deleted_channel_is_gone_with_its_deliveries(viewer, webhook, sessions):
    with database.transaction(sessions) as session:
        dispatch.fan_out(session, session.merge(tell(sessions, viewer)))
    assert len(viewer.get("/deliveries?channel=webhook").json) == 1
    assert viewer.delete(f"{CHANNELS}/{webhook['id']}").status_code == 204
    assert viewer.get(f"{CHANNELS}/{webhook['id']}").status_code == 404
    assert viewer.get("/deliveries?channel=webhook").json == []


def test_rotation_keeps_the_old_secret_for_a_day(viewer, webhook, sessions, settings):
    answer = viewer.post(f"{CHANNELS}/{webhook['id']}/rotate-secret").json
    assert answer["secret"] not in (None, webhook["secret"])
    stored = row(sessions, webhook)
    cipher = Cipher.of(settings)
    assert cipher.decrypt(stored.secret) == answer["secret"]
    assert cipher.decrypt(stored.previous_secret) == webhook["secret"]
    left = stored.previous_secret_until - stored.updated_at
    assert left == dt.timedelta(hours=24)


def test_only_webhooks_have_a_secret_to_rotate(viewer):
    channel = create(viewer, kind="email", target="ada@example.org")
    assert viewer.post(f"{CHANNELS}/{channel['id']}/rotate-secret").status_code == 409


@pytest.mark.parametrize("state", [ChannelState.PAUSED, ChannelState.DISABLED])
def test_a_stopped_channel_is_resumed(viewer, webhook, sessions, state):
    path = f"{CHANNELS}/{webhook['id']}"
    assert viewer.post(f"{path}/resume").status_code == 409
    stop(sessions, webhook, state)
    assert viewer.get(path).json["state_reason"] == "410"
    resumed = viewer.post(f"{path}/resume").json
    assert (resumed["state"], resumed["state_reason"]) == ("active", None)


def test_a_test_that_no_worker_does_is_accepted(viewer, webhook, sessions, monkeypatch):
    monkeypatch.setattr("api_service.resources.channels.TEST_SECONDS", 0.2)
    answer = viewer.post(f"{CHANNELS}/{webhook['id']}/test")
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/v1/tasks/{answer.json['task_id']}"
    with database.reading(sessions) as session:
        task = session.scalars(sa.select(Task)).one()
    assert (task.name, task.arguments["channel_id"]) == (TEST_NOTIFICATION_CHANNEL, webhook["id"])


def test_a_test_says_what_came_of_it(viewer, webhook, sessions, rung, monkeypatch):
    """The worker is played by the doorbell: when it rings, the attempt is there and the task has ended."""
    outcome = []

    def work(rings):
        task = claim(sessions, rings[0].task_id)
        with database.transaction(sessions) as session:
            session.add(
                DeliveryAttempt(
                    id=uuid.UUID(task.arguments["attempt_id"]),
                    channel_id=uuid.UUID(webhook["id"]),
                    started_at=database.now(session),
                    seconds=0.25,
                    status=500,
                    outcome=Outcome.RETRY,
                    detail="answered 500",
                )
            )
            session.execute(sa.update(Task).values(ended_at=database.now(session), state="SUCCESS"))
        outcome.append(task)
        return True

    monkeypatch.setitem(sessions.kw["info"], "ring", work)
    answer = viewer.post(f"{CHANNELS}/{webhook['id']}/test")
    assert answer.status_code == 200
    assert {name: answer.json[name] for name in ("outcome", "status", "seconds", "detail")} == {
        "outcome": "retry",
        "status": 500,
        "seconds": 0.25,
        "detail": "answered 500",
    }


def test_a_preview_tells_what_the_rules_would_have_sent(viewer, analyst, sessions):
    channel = create(viewer, min_priority="normal", types=["scan_completed", "new_findings"])
    path = f"{CHANNELS}/{channel['id']}/preview"
    tell(sessions, viewer, 9, title="nine days ago")
    tell(sessions, viewer, 5, hour=22, title="late", data={"events": ["scan_completed", "new_findings"]})
    tell(sessions, viewer, 5, hour=23, title="later", priority=Priority.CRITICAL)
    tell(sessions, viewer, 1, priority=Priority.LOW)
    tell(sessions, viewer, 1, type="mirror_stale")
    tell(sessions, viewer, 1, type="channel_paused", priority=Priority.HIGH)
    tell(sessions, viewer, 31, title="too old")
    tell(sessions, analyst, 1, title="somebody else's")
    shown = viewer.post(path).json
    assert (shown["notifications"], shown["total"]) == (6, 3)
    assert shown["left_out"] == {"min_priority": 1, "types": 1, "in_app_only": 1}
    assert [each["titles"] for each in shown["messages"]] == [["later"], ["late"], ["nine days ago"]]

    rules = {"digest": "daily", "min_priority": "low", "types": None}
    digested = viewer.post(path, rules).json
    assert digested["total"] == 3
    assert ["late", "later"] in [each["titles"] for each in digested["messages"]]
    assert {each["digest"] for each in digested["messages"]} == {True}

    night = {"from": "21:30", "to": "07:00", "timezone": "UTC"}
    quiet = viewer.post(path, {"quiet_hours": night}).json["messages"]
    held = {each["titles"][0]: each for each in quiet}
    assert (held["late"]["held"], held["late"]["due_at"][11:16]) == (True, "07:00")
    assert held["later"]["held"] is False

    assert viewer.get(f"{CHANNELS}/{channel['id']}").json["digest"] == "immediate"
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Task)).all() == []
        assert len(session.scalars(sa.select(Notification)).all()) == 8


def test_a_preview_refuses_rules_that_cannot_be_used(viewer, webhook):
    path = f"{CHANNELS}/{webhook['id']}/preview"
    night = {"from": "22:00", "to": "07:00", "timezone": "Mars/Olympus"}
    assert viewer.post(path, {"quiet_hours": night}).status_code == 422
    assert viewer.post(path, {"name": "x"}).status_code == 422


RULES = (
    {},
    {"min_priority": "high"},
    {"types": ["scan_failed", "fixed"]},
    {"digest": "hourly"},
    {"digest": "daily", "quiet_hours": {"from": "06:00", "to": "09:30", "timezone": "Asia/Kathmandu"}},
    {"quiet_hours": {"from": "00:00", "to": "23:59", "timezone": "UTC"}, "min_priority": "normal"},
)


@pytest.mark.parametrize("rules", RULES, ids=range(len(RULES)))
def test_what_a_preview_tells_is_what_is_sent(viewer, sessions, rules):
    """The same notifications, once through the channel and once through its preview."""
    channel = create(viewer, **rules)
    for number, (kind, priority) in enumerate(
        (kind, priority)
        for kind in ("scan_completed", "scan_failed", "channel_paused")
        for priority in Priority
    ):
        told = tell(
            sessions,
            viewer,
            title=str(number),
            type=kind,
            priority=priority,
            data={"events": [kind, "new_findings"]},
        )
        with database.transaction(sessions) as session:
            dispatch.fan_out(session, session.merge(told))
    sent = {}
    for each in viewer.get("/deliveries?channel=webhook&page_size=200").json:
        titles, _ = sent.setdefault(each["message_id"], (set(), each["due_at"]))
        titles.add(each["title"])
    shown = viewer.post(f"{CHANNELS}/{channel['id']}/preview").json
    previewed = [(set(message["titles"]), message["due_at"]) for message in shown["messages"]]
    pairs = zip(sorted(sent.values(), key=_by_titles), sorted(previewed, key=_by_titles), strict=True)
    for (titles, due_at), (expected_titles, expected_due_at) in pairs:
        assert titles == expected_titles
        assert abs(
            dt.datetime.fromisoformat(due_at) - dt.datetime.fromisoformat(expected_due_at)
        ) < dt.timedelta(seconds=5)


def _by_titles(message):
    return sorted(message[0])
