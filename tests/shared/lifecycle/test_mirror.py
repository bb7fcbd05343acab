"""Every admin is told once for each time that the mirror becomes stale."""

import datetime as dt

import sqlalchemy as sa

from shared import credentials, database
from shared.database import Sessions
from shared.lifecycle.mirror import tell_if_stale
from shared.models.coverage import MirrorCoverage
from shared.models.task import Task
from shared.models.user import Role
from shared.tasks import SEND_NOTIFICATION

DAY = dt.timedelta(hours=24)


def look(sessions: Sessions) -> int:
    with database.transaction(sessions) as session:
        return tell_if_stale(session, DAY)


def news(sessions: Sessions, age: dt.timedelta) -> None:
    with database.transaction(sessions) as session:
        session.merge(MirrorCoverage(id=1, watermark=database.now(session) - age))


def admins(sessions: Sessions) -> None:
    with database.transaction(sessions) as session:
        for name, role in (("a", Role.ADMIN), ("b", Role.ADMIN), ("c", Role.ANALYST)):
            credentials.create_user(session, email=f"{name}@example.org", name=name, role=role, password=None)


def test_a_mirror_without_proof_is_nobodys_concern(sessions: Sessions):
    admins(sessions)
    assert look(sessions) == 0


def test_every_admin_is_told_once_an_episode(sessions: Sessions):
    admins(sessions)
    news(sessions, dt.timedelta(hours=1))
    assert look(sessions) == 0
    news(sessions, dt.timedelta(hours=25))
    assert [look(sessions) for _ in range(3)] == [2, 0, 0]
    news(sessions, dt.timedelta(hours=1))
    assert look(sessions) == 0
    news(sessions, dt.timedelta(hours=30))
    assert [look(sessions) for _ in range(3)] == [2, 0, 0]
    with database.reading(sessions) as session:
        told = session.scalars(sa.select(Task).where(Task.name == SEND_NOTIFICATION)).all()
    assert len(told) == 4
    assert {task.arguments["notification_type"] for task in told} == {"mirror_stale"}
