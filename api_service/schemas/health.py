"""Health on the wire."""

from marshmallow import fields

from api_service.schemas.base import Output


class LiveSchema(Output):
    """The process answers."""

    status = fields.String(required=True, metadata={"description": "`live`", "example": "live"})


class ReadySchema(Output):
    """The service works."""

    status = fields.String(
        required=True,
        metadata={
            "description": "`ready`, or `degraded` while Redis is away: work is accepted, and begins later.",
            "example": "ready",
        },
    )
    checks = fields.Dict(
        keys=fields.String(),
        values=fields.String(),
        required=True,
        metadata={
            "description": "Each part.",
            "example": {"database": "ok", "migrations": "ok", "redis": "ok"},
        },
    )
