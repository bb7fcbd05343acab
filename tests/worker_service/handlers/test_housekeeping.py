import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database
from shared.lifecycle.notification import News
from shared.models.notification import Delivery, DeliveryAttempt, Notification, Priority
from tests.builders import add_channel, add_user
from worker_service.handlers import housekeeping, notifications
from worker_service.handlers.notifications import tell


@pytest.mark.parametrize(
    ("read", "days", "stays"),
    [(True, 29, True), (True, 31, False), (False, 31, True), (False, 119, True), (False, 121, False)],
)
def test_read_notifications_go_and_unread_ones_stay_four_times_as_long(
    sessions, work, commit, read, days, stays
):
    with database.transaction(sessions) as session:
        user_id = str(add_user(session).id)
    commit(notifications.send(work, user_id, "t", "title", "message", "low", None, None))
    with database.transaction(sessions) as session:
        at = database.now(session) - dt.timedelta(days=days)
        session.execute(sa.update(Notification).values(created_at=at, read_at=at if read else None))
    assert commit(housekeeping.cleanup_old_notifications(work, 30)) == {"removed": 0 if stays else 1}
    with database.reading(sessions) as session:
        assert len(session.scalars(sa.select(Notification)).all()) == stays
        assert len(session.scalars(sa.select(Delivery)).all()) == stays


@pytest.mark.parametrize(("days", "stay"), [(29, True), (31, False)])
def test_what_ended_in_channels_goes_with_its_attempts_and_what_waits_stays(
    sessions, settings, work, commit, days, stay
):
    with database.transaction(sessions) as session:
        user_id = add_user(session).id
        channel = add_channel(session, user_id, "https://hooks.example.org/x", settings)
    for number in range(2):
        commit(lambda session, n=number: tell(session, user_id, News("t", "", "", Priority.LOW, str(n))))
    with database.transaction(sessions) as session:
        at = database.now(session) - dt.timedelta(days=days)
        ended, waiting = session.scalars(
            sa.select(Delivery).where(Delivery.channel_id.is_not(None)).order_by(Delivery.created_at)
        )
        ended.state, ended.ended_at, ended.run_after = "failed", at, None
        waiting.created_at = at
        for delivery_id in (ended.id, waiting.id, None):
            session.add(DeliveryAttempt(channel_id=channel.id, delivery_id=delivery_id, started_at=at))
    commit(housekeeping.cleanup_old_notifications(work, 30))
    with database.reading(sessions) as session:
        left = set(session.scalars(sa.select(Delivery.id).where(Delivery.channel_id.is_not(None))))
        tried = set(session.scalars(sa.select(DeliveryAttempt.delivery_id)))
    assert left == ({ended.id, waiting.id} if stay else {waiting.id})
    assert tried == ({ended.id, waiting.id, None} if stay else {waiting.id})
