"""One's own notifications, and sending one."""

import uuid
from typing import Any

from flask import Response

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import sessions
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.schemas.notifications import (
    NotificationChange,
    NotificationCreate,
    NotificationQuery,
    NotificationSchema,
    ReadAllSchema,
)
from api_service.schemas.tasks import AcceptedSchema
from api_service.services import notifications
from shared import database
from shared.errors import NotFound
from shared.models.notification import Notification
from shared.models.user import Role

blueprint = Blueprint("notifications", "What happened that concerns the caller.")


@blueprint.operation("GET", "/notifications", role=Role.VIEWER)
@blueprint.arguments(NotificationQuery, location="query")
@blueprint.page(NotificationSchema)
def list_notifications(query: dict[str, Any]) -> Page[Notification]:
    """List one's own notifications.

    Newest first.
    """
    with database.reading(sessions()) as session:
        return notifications.list_notifications(session, principal(), **query)


@blueprint.operation("POST", "/notifications", role=Role.ADMIN, raises=(NotFound,), idempotent=True)
@blueprint.arguments(NotificationCreate)
@blueprint.response(202, AcceptedSchema, headers={"Location": "LOCATION"})
def send_notification(body: dict[str, Any]) -> Response:
    """Send a notification to a user.

    A task writes it and delivers it.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            task_id = notifications.send(session, principal(), body)
            return Answer(AcceptedSchema().dump({"task_id": task_id}), 202, f"{PREFIX}/tasks/{task_id}")

        return once(session, act)


@blueprint.operation("PATCH", "/notifications/<uuid:notification_id>", role=Role.VIEWER)
@blueprint.arguments(NotificationChange)
@blueprint.response(200, NotificationSchema)
def mark_notification(body: dict[str, Any], notification_id: uuid.UUID) -> Notification:
    """Mark a notification as read or unread."""
    with database.transaction(sessions()) as session:
        return notifications.mark(session, principal(), notification_id, **body)


@blueprint.operation("POST", "/notifications/read-all", role=Role.VIEWER)
@blueprint.response(200, ReadAllSchema)
def read_all_notifications() -> dict[str, int]:
    """Mark all of one's own notifications as read."""
    with database.transaction(sessions()) as session:
        return {"read": notifications.mark_all(session, principal())}
