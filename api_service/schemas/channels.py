"""Notification channels on the wire."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from api_service.schemas.base import EXAMPLE_TIME, Input, Output, identifier, moment, not_blank
from shared.models.channel import ChannelKind, ChannelState, Digest
from shared.models.notification import NotificationType, Outcome, Priority

_CLOCK = validate.Regexp(r"^([01]\d|2[0-3]):[0-5]\d$", error="Must be a time of day such as 22:00.")
_TYPES = ", ".join(f"`{each}`" for each in NotificationType)
_TARGET = (
    "A URL that takes POSTs (`webhook`), an incoming webhook's URL of Slack, Teams, Mattermost or Discord (`chat`), or a "
    "mail address (`email`). It is kept encrypted and never shown again in full."
)
EXAMPLE_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwM0t3e1yVb2w="  # noqa: S105  # an example


class QuietHoursSchema(Input):
    """When nothing goes out, by the clock of a time zone."""

    begin = fields.String(
        required=True,
        data_key="from",
        validate=_CLOCK,
        metadata={"description": "When they begin.", "example": "22:00"},
    )
    end = fields.String(
        required=True,
        data_key="to",
        validate=_CLOCK,
        metadata={
            "description": "When they end; earlier than `from` means the next day.",
            "example": "07:00",
        },
    )
    timezone = fields.String(
        load_default="UTC",
        validate=validate.Length(1, 64),
        metadata={"description": "A name of the IANA time zone database.", "example": "Europe/Berlin"},
    )

    @validates_schema
    def _some_hours(self, data: dict[str, Any], **_: Any) -> None:
        if data["begin"] == data["end"]:
            raise ValidationError("Must differ from the time they begin at.", "to")


class _QuietHours(fields.Nested):
    """Quiet hours as the channel's row holds them: `{from, to, timezone}`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(QuietHoursSchema, allow_none=True, **kwargs)

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        loaded = super()._deserialize(value, *args, **kwargs)
        return {"from": loaded["begin"], "to": loaded["end"], "timezone": loaded["timezone"]}

    def _serialize(self, *args: Any, **_kwargs: Any) -> Any:
        return args[0]


def _min_priority(**kwargs: Any) -> fields.Enum[Priority]:
    return fields.Enum(
        Priority,
        by_value=fields.String,
        metadata={"description": "Nothing that matters less goes out.", "example": "low"},
        **kwargs,
    )


def _types(**kwargs: Any) -> fields.List[str]:
    return fields.List(
        fields.String(validate=[validate.Length(1, 64), validate.Regexp(r"^[a-z][a-z0-9_]*$")]),
        allow_none=True,
        metadata={
            "description": f"Only what tells one of these; null: everything. There are {_TYPES}, and what admins send.",
            "example": ["new_findings", "severity_raised", "known_exploited_added", "scan_failed"],
        },
        **kwargs,
    )


def _quiet_hours(**kwargs: Any) -> _QuietHours:
    return _QuietHours(
        metadata={
            "description": "When messages wait, unless they are critical or tell of a known-exploited vulnerability; null: "
            "never.",
            "example": {"from": "22:00", "to": "07:00", "timezone": "Europe/Berlin"},
        },
        **kwargs,
    )


def _digest(**kwargs: Any) -> fields.Enum[Digest]:
    return fields.Enum(
        Digest,
        by_value=fields.String,
        metadata={
            "description": "`immediate`: one message per notification; `hourly`, at the full hour, and `daily`, at 08:00 of "
            "the quiet hours' time zone (UTC without any): one message that collects, if there is anything.",
            "example": "immediate",
        },
        **kwargs,
    )


class ChannelRules(Input):
    """What goes out, and when; what is left out is as the channel has it."""

    min_priority = _min_priority()
    types = _types(validate=validate.Length(1, 50))
    quiet_hours = _quiet_hours()
    digest = _digest()


class ChannelChange(ChannelRules):
    """What to change of a channel; what is left out stays."""

    name = fields.String(
        validate=not_blank(100), metadata={"description": "What to call it.", "example": "pager"}
    )
    target = fields.String(validate=validate.Length(1, 2000), metadata={"description": _TARGET})


class ChannelCreate(Input):
    """A channel to add."""

    name = fields.String(
        required=True,
        validate=not_blank(100),
        metadata={"description": "What to call it.", "example": "on-call"},
    )
    kind = fields.Enum(
        ChannelKind,
        by_value=fields.String,
        required=True,
        metadata={"description": "How it is spoken to.", "example": "email"},
    )
    target = fields.String(
        required=True,
        validate=validate.Length(1, 2000),
        metadata={"description": _TARGET, "example": "ada@example.org"},
    )
    min_priority = _min_priority(load_default=Priority.LOW)
    types = _types(load_default=None, validate=validate.Length(1, 50))
    quiet_hours = _quiet_hours(load_default=None)
    digest = _digest(load_default=Digest.IMMEDIATE)


class ChannelSchema(Output):
    """A channel."""

    id = identifier(required=True)
    name = fields.String(required=True, metadata={"description": "What it is called.", "example": "on-call"})
    kind = fields.Enum(
        ChannelKind,
        by_value=fields.String,
        required=True,
        metadata={"description": "How it is spoken to.", "example": "webhook"},
    )
    target = fields.String(
        required=True,
        attribute="shown_target",
        metadata={
            "description": "Where it leads: an address in full, a URL without what follows its host.",
            "example": "https://hooks.example.org/…",
        },
    )
    min_priority = _min_priority(required=True)
    types = _types(required=True)
    quiet_hours = _quiet_hours(required=True)
    digest = _digest(required=True)
    state = fields.Enum(
        ChannelState,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "`active`; `paused` after days of nothing but failures, when what is due waits; `disabled` by a "
            "receiver that answered 410, when nothing is kept for it.",
            "example": "active",
        },
    )
    state_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it is not active.", "example": None},
    )
    state_since = moment("Since when it is as it is.", required=True)
    failing_since = moment(
        "The first failure after the last success; null while all is well.", required=True, allow_none=True
    )
    previous_secret_until = moment(
        "How long a webhook's secret before the present one signs too; null when it does not.",
        required=True,
        allow_none=True,
    )
    created_at = moment("When it was added.", required=True)
    updated_at = moment("When it was changed last.", required=True)


class NewChannelSchema(ChannelSchema):
    """A channel, with its secret."""

    secret = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "What a webhook's messages are signed with (Standard Webhooks). Shown once: a replayed answer has "
            "null here, as have channels of other kinds.",
            "example": EXAMPLE_SECRET,
        },
    )


class ChannelTestSchema(Output):
    """What came of a test message."""

    outcome = fields.Enum(
        Outcome,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "`delivered`; `retry`: it failed in a way that may pass; `refused`: in one that will not; `gone`: "
            "the receiver answered 410.",
            "example": "delivered",
        },
    )
    status = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "What HTTP or SMTP answered, if anything.", "example": 204},
    )
    seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "How long it took.", "example": 0.21}
    )
    detail = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "In words.", "example": "answered 204"},
    )
    started_at = moment("When it was sent.", required=True)


class PreviewMessageSchema(Output):
    """A message that would have gone out."""

    due_at = moment("When.", required=True)
    digest = fields.Boolean(required=True, metadata={"description": "Whether it collects.", "example": False})
    held = fields.Boolean(
        required=True, metadata={"description": "Whether quiet hours would have put it off.", "example": True}
    )
    priority = fields.Enum(
        Priority,
        by_value=fields.String,
        required=True,
        metadata={"description": "That of the most urgent it tells.", "example": "high"},
    )
    titles = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What it would have told.", "example": ["Scan completed: web shop"]},
    )


class LeftOutSchema(Output):
    """Notifications that would not have gone out, by reason."""

    min_priority = fields.Integer(
        required=True, metadata={"description": "They matter too little.", "example": 4}
    )
    types = fields.Integer(
        required=True, metadata={"description": "They tell none of the types.", "example": 2}
    )
    in_app_only = fields.Integer(
        required=True,
        metadata={"description": "News of channels, which no channel is told.", "example": 0},
    )


class PreviewSchema(Output):
    """What the rules would have sent."""

    since = fields.DateTime(
        required=True,
        metadata={"description": "From when on; 30 days ago.", "example": "2026-09-01T12:00:00+00:00"},
    )
    until = fields.DateTime(
        required=True, metadata={"description": "Until when: now.", "example": EXAMPLE_TIME}
    )
    notifications = fields.Integer(
        required=True, metadata={"description": "How many notifications there were.", "example": 7}
    )
    total = fields.Integer(
        required=True, metadata={"description": "How many messages would have gone out.", "example": 1}
    )
    messages = fields.List(
        fields.Nested(PreviewMessageSchema),
        required=True,
        metadata={"description": "The latest 200 of them, the latest first."},
    )
    left_out = fields.Nested(
        LeftOutSchema,
        required=True,
        metadata={"description": "How many notifications would not have gone out, and why."},
    )
