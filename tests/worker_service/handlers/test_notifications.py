import uuid

import pytest
import sqlalchemy as sa

from shared import database
from shared.errors import Permanent
from shared.models.notification import Delivery, DeliveryState, Notification, Priority
from tests.builders import add_user, claimed
from worker_service.handlers import notifications, summaries
from worker_service.tasks import Work


@pytest.fixture
def user_id(sessions):
    with database.transaction(sessions) as session:
        return str(add_user(session).id)


def told(sessions):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Notification)).all()


def test_a_notification_is_written_and_delivered_in_the_app(sessions, work, commit, user_id):
    run_id = str(uuid.uuid4())
    commit(notifications.send(work, user_id, "scan_failed", "Scan failed", "why", "high", "run", run_id))
    (row,) = told(sessions)
    assert (str(row.user_id), row.type, row.priority, row.entity_type, row.entity_id) == (
        user_id,
        "scan_failed",
        Priority.HIGH,
        "run",
        run_id,
    )
    with database.reading(sessions) as session:
        delivery = session.scalars(sa.select(Delivery)).one()
        assert (delivery.channel, delivery.state, delivery.attempts) == ("in_app", DeliveryState.DELIVERED, 1)


def test_what_concerns_a_run_is_told_once_for_the_run(sessions, commit, user_id, settings):
    for _ in range(2):
        task = claimed(sessions)
        work = Work(task.id, task.epoch, sessions, settings)
        commit(notifications.send(work, user_id, "scan_failed", "Scan failed", "why", "high", "run", "1"))
    assert len(told(sessions)) == 1


def test_the_same_task_twice_tells_once(sessions, work, commit, user_id):
    results = [
        commit(notifications.send(work, user_id, "t", "title", "message", "low", None, None))
        for _ in range(2)
    ]
    assert len(told(sessions)) == 1
    assert results[0] == results[1]


def test_a_user_who_is_gone_is_told_nothing(sessions, work, commit):
    effect = notifications.send(work, str(uuid.uuid4()), "t", "title", "message", "low", None, None)
    with pytest.raises(Permanent, match="gone"):
        commit(effect)
    assert told(sessions) == []


def test_an_unknown_priority_is_refused(work, user_id):
    with pytest.raises(Permanent, match="'urgent' is no priority"):
        notifications.send(work, user_id, "t", "title", "message", "urgent", None, None)


@pytest.mark.parametrize(
    ("critical", "high", "priority"),
    [(1, 0, Priority.CRITICAL), (0, 2, Priority.HIGH), (0, 0, Priority.NORMAL)],
)
def test_a_completed_scan_is_as_urgent_as_its_worst_finding(
    sessions, work, commit, user_id, critical, high, priority
):
    commit(summaries.send_scan_completion(work, "s", user_id, "x" * 300, 5, critical, high))
    (row,) = told(sessions)
    assert (row.priority, row.entity_type, row.entity_id) == (priority, "scan", "s")
    assert len(row.title) == 200
    assert row.message.endswith(f"5 open findings, {critical} critical, {high} high.")
