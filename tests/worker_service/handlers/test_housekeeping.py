import datetime as dt

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.notification import Delivery, Notification
from tests.builders import add_user
from worker_service.handlers import housekeeping, notifications


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
