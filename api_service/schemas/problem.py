"""What every error answers (RFC 9457)."""

from marshmallow import fields

from api_service.schemas.base import Output


class ProblemSchema(Output):
    """An error."""

    type = fields.String(
        required=True,
        metadata={"description": "`about:blank`: the status says it.", "example": "about:blank"},
    )
    title = fields.String(
        required=True, metadata={"description": "The status in words.", "example": "Conflict"}
    )
    status = fields.Integer(required=True, metadata={"description": "The status.", "example": 409})
    detail = fields.String(
        required=True,
        metadata={
            "description": "What is wrong here.",
            "example": "There is a user with this address already.",
        },
    )
    request_id = fields.String(
        required=True,
        metadata={
            "description": "The X-Request-Id of this answer; the service's log names it too.",
            "example": "3f0c9f8e7b1d4a52a4d1c0f2b7e65d90",
        },
    )
    errors = fields.Dict(
        keys=fields.String(),
        values=fields.List(fields.String()),
        metadata={
            "description": "Which fields are wrong, and why. `components.0.name` is a field of a list's first item."
        },
    )
