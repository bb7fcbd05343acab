"""Notifications on the wire."""

from marshmallow import fields, validate

from api_service.schemas.base import (
    EXAMPLE_ID,
    Flag,
    Input,
    Output,
    PageQuery,
    QueryFlag,
    identifier,
    moment,
    not_blank,
)
from shared.models.notification import Priority


class NotificationQuery(PageQuery):
    """Which of one's notifications."""

    unread = QueryFlag(metadata={"description": "Only unread, or only read ones."})
    type = fields.String(validate=validate.Length(1, 64), metadata={"description": "Only of this type."})


class NotificationCreate(Input):
    """A message for a user."""

    user_id = fields.UUID(metadata={"description": "For whom; without it, for oneself."})
    type = fields.String(
        load_default="announcement",
        validate=[validate.Length(1, 64), validate.Regexp(r"^[a-z][a-z0-9_]*$")],
        metadata={"description": "What kind of message it is.", "example": "announcement"},
    )
    title = fields.String(
        required=True,
        validate=not_blank(200),
        metadata={"description": "The subject.", "example": "Maintenance on Friday"},
    )
    message = fields.String(
        required=True,
        validate=not_blank(10_000),
        metadata={
            "description": "The text.",
            "example": "Vedette is away on Friday from 18:00 to 18:30 UTC.",
        },
    )
    priority = fields.Enum(
        Priority,
        by_value=fields.String,
        load_default=Priority.NORMAL,
        metadata={"description": "How much it matters.", "example": "normal"},
    )
    entity_type = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 32),
        metadata={"description": "What kind of thing it is about, if any."},
    )
    entity_id = fields.String(
        load_default=None,
        allow_none=True,
        validate=validate.Length(1, 64),
        metadata={"description": "The id of that thing."},
    )


class NotificationChange(Input):
    """What its reader can change."""

    read = Flag(required=True, metadata={"description": "Whether it has been read.", "example": True})


class NotificationSchema(Output):
    """A message for the caller."""

    id = identifier(required=True)
    type = fields.String(
        required=True, metadata={"description": "What kind of message it is.", "example": "scan_completed"}
    )
    title = fields.String(
        required=True, metadata={"description": "The subject.", "example": "Scan completed: web shop"}
    )
    message = fields.String(
        required=True,
        metadata={"description": "The text.", "example": "36 findings, 2 of them critical and 9 high."},
    )
    priority = fields.Enum(
        Priority,
        by_value=fields.String,
        required=True,
        metadata={"description": "How much it matters.", "example": "critical"},
    )
    entity_type = fields.String(
        required=True, allow_none=True, metadata={"description": "What it is about.", "example": "scan"}
    )
    entity_id = fields.String(
        required=True, allow_none=True, metadata={"description": "Which one.", "example": EXAMPLE_ID}
    )
    created_at = moment("When it was made.", required=True)
    read_at = moment("When it was read; null while it is not.", required=True, allow_none=True)


class ReadAllSchema(Output):
    """How much was marked as read."""

    read = fields.Integer(
        required=True, metadata={"description": "How many were unread until now.", "example": 3}
    )
