"""Notifications, each its reader's own."""

import uuid
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services.tokens import Principal
from shared import database
from shared.errors import NotFound
from shared.models.notification import Notification, Priority
from shared.models.user import User
from shared.tasks import SEND_NOTIFICATION, Asking, ask


def list_notifications(
    session: Session,
    who: Principal,
    *,
    page: PageRequest,
    unread: bool | None = None,
    type: str | None = None,  # noqa: A002  # the field's name
) -> Page[Notification]:
    """The caller's notifications, newest first."""
    statement = sa.select(Notification).where(Notification.user_id == who.user_id)
    if unread is not None:
        statement = statement.where(
            Notification.read_at.is_(None) if unread else Notification.read_at.is_not(None)
        )
    if type is not None:
        statement = statement.where(Notification.type == type)
    return fetch(session, statement.order_by(Notification.created_at.desc(), Notification.id), page)


def send(session: Session, who: Principal, message: dict[str, Any]) -> uuid.UUID:
    """Ask for a message to be sent to a user, by default to the caller; the task's id. Raises NotFound for an unknown user."""
    user_id: uuid.UUID = message.get("user_id") or who.user_id
    user = session.get(User, user_id)
    if user is None or not user.active:
        raise NotFound("There is no such active user.")
    priority: Priority = message["priority"]
    return ask(
        session,
        SEND_NOTIFICATION,
        Asking(asked_by=who.user_id),
        user_id=str(user_id),
        notification_type=message["type"],
        title=message["title"],
        message=message["message"],
        priority=priority.value,
        entity_type=message["entity_type"],
        entity_id=message["entity_id"],
    )


def mark(session: Session, who: Principal, notification_id: uuid.UUID, *, read: bool) -> Notification:
    """Mark one of the caller's notifications as read or unread. Raises NotFound, for somebody else's too."""
    found = session.get(Notification, notification_id, with_for_update=True)
    if found is None or found.user_id != who.user_id:
        raise NotFound("There is no such notification.")
    if not read:
        found.read_at = None
    elif found.read_at is None:
        found.read_at = database.now(session)
    return found


def mark_all(session: Session, who: Principal) -> int:
    """Mark all of the caller's notifications as read; how many were not."""
    changed = session.execute(
        sa.update(Notification)
        .where(Notification.user_id == who.user_id, Notification.read_at.is_(None))
        .values(read_at=database.now(session))
        .returning(Notification.id)
        .execution_options(synchronize_session=False)
    )
    return len(changed.all())
