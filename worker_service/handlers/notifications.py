"""Telling people: a notification is a row for its reader, and a delivery for each of their channels that wants it."""

import uuid

from sqlalchemy.orm import Session

from shared.errors import Permanent
from shared.lifecycle import dispatch
from shared.lifecycle import notification as writing
from shared.lifecycle.notification import News
from shared.models.base import Document
from shared.models.notification import Priority
from shared.models.user import User
from worker_service.tasks import Effect, Work


def send(  # noqa: PLR0913, PLR0917  # the arguments of the contract
    work: Work,
    user_id: str,
    notification_type: str,
    title: str,
    message: str,
    priority: str,
    entity_type: str | None,
    entity_id: str | None,
) -> Effect:
    """Tell a user something. Raises Permanent when the user is gone or the priority is none.

    What concerns a run is told once for the run, anything else once for the task.
    """
    if priority not in list(Priority):
        raise Permanent(f"{priority!r} is no priority (there are {', '.join(Priority)}).")
    news = News(
        type=notification_type,
        title=title,
        message=message,
        priority=Priority(priority),
        entity_type=entity_type,
        entity_id=entity_id,
        dedupe_key=f"{notification_type}:{entity_id}" if entity_type == "run" else f"task:{work.task_id}",
    )
    return lambda session: tell(session, uuid.UUID(user_id), news)


def tell(session: Session, user_id: uuid.UUID, news: News) -> Document:
    """Tell a user, in the application and through their channels, unless they were told already.

    Raises Permanent when the user is gone.
    """
    if session.get(User, user_id) is None:
        raise Permanent("The user is gone.")
    notification, is_new = writing.write(session, user_id, news)
    if is_new:
        dispatch.fan_out(session, notification)
    return {"notification_id": str(notification.id)}
