"""Deliveries and their attempts on the wire."""

import datetime as dt
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api_service.schemas.base import EXAMPLE_ID, Input, Moment, Output, PageQuery, identifier, moment
from shared.models.channel import ChannelKind
from shared.models.notification import IN_APP, DeliveryState, Outcome


class DeliveryQuery(PageQuery):
    """Which deliveries."""

    state = fields.Enum(
        DeliveryState, by_value=fields.String, metadata={"description": "Only in this state."}
    )
    channel = fields.String(
        validate=validate.OneOf([IN_APP, *ChannelKind]),
        metadata={"description": "Only through channels of this kind, or `in_app`."},
    )
    channel_id = fields.UUID(metadata={"description": "Only through this channel."})
    notification_id = fields.UUID(metadata={"description": "Only of this notification."})
    since = Moment(
        format="iso",
        default_timezone=dt.UTC,
        metadata={"description": "Only made at this time or later; UTC unless it says."},
    )
    until = Moment(
        format="iso",
        default_timezone=dt.UTC,
        metadata={"description": "Only made before this time; UTC unless it says."},
    )


class RedeliverRange(Input):
    """Which failed deliveries to send again."""

    since = Moment(
        required=True,
        format="iso",
        default_timezone=dt.UTC,
        metadata={
            "description": "Those made at this time or later; UTC unless it says.",
            "example": "2026-10-01T00:00:00+00:00",
        },
    )
    until = Moment(
        required=True,
        format="iso",
        default_timezone=dt.UTC,
        metadata={
            "description": "And before this time; UTC unless it says.",
            "example": "2026-10-02T00:00:00+00:00",
        },
    )
    channel_id = fields.UUID(metadata={"description": "Only through this channel; without it, through all."})

    @validates_schema
    def _some_time(self, data: dict[str, Any], **_: Any) -> None:
        if data["since"] >= data["until"]:
            raise ValidationError("Must be later than `since`.", "until")


class AttemptSchema(Output):
    """One try."""

    started_at = moment("When it began.", required=True)
    seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "How long the receiver took; null when nobody knows.", "example": 0.21},
    )
    status = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "What HTTP or SMTP answered, if anything.", "example": 204},
    )
    outcome = fields.Enum(
        Outcome,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata={
            "description": "Null while it is under way. `lost`: its worker ended before it could record the answer; a mail is "
            "then not sent again by itself.",
            "example": "delivered",
        },
    )
    detail = fields.String(
        required=True, allow_none=True, metadata={"description": "In words.", "example": "answered 204"}
    )


class DeliverySchema(Output):
    """A notification on its way through one channel."""

    id = identifier(required=True)
    notification_id = fields.UUID(
        required=True, metadata={"description": "What it delivers.", "example": EXAMPLE_ID}
    )
    type = fields.String(
        required=True,
        attribute="notification.type",
        metadata={"description": "The notification's type.", "example": "scan_completed"},
    )
    title = fields.String(
        required=True,
        attribute="notification.title",
        metadata={"description": "The notification's subject.", "example": "Scan completed: web shop"},
    )
    channel = fields.String(
        required=True, metadata={"description": "The channel's kind, or `in_app`.", "example": "webhook"}
    )
    channel_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "Which channel; null in the application.", "example": EXAMPLE_ID},
    )
    message_id = fields.String(
        required=True,
        metadata={
            "description": "What names the message to its receiver, the same at every attempt: `webhook-id`, and the first "
            "part of a mail's Message-ID.",
            "example": "msg_0b6f9c1e8f5b4b579d0c3a3d5a1c7e42",
        },
    )
    digest_of = fields.UUID(
        required=True,
        allow_none=True,
        attribute="carrier_id",
        metadata={
            "description": "The delivery whose message holds this one's notification in a digest, and whose attempts count; "
            "null when it has a message of its own.",
            "example": None,
        },
    )
    state = fields.Enum(
        DeliveryState,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where it stands.", "example": "delivered"},
    )
    due_at = moment("When it was meant to go out.", required=True)
    next_attempt_at = fields.DateTime(
        format="iso",
        required=True,
        allow_none=True,
        attribute="run_after",
        metadata={"description": "Not before this; null when there is nothing more to do.", "example": None},
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why the last attempt failed, or why it was given up.", "example": None},
    )
    created_at = moment("When it was made.", required=True)
    ended_at = moment("When it ended.", required=True, allow_none=True)
    attempts = fields.List(
        fields.Nested(AttemptSchema),
        required=True,
        attribute="tries",
        metadata={"description": "Every try, the first first."},
    )


class RedeliveredSchema(Output):
    """How much is sent again."""

    redelivered = fields.Integer(
        required=True,
        metadata={
            "description": "Messages that are sent again, at most 1,000 of each channel: the oldest. Ask again for more.",
            "example": 12,
        },
    )
