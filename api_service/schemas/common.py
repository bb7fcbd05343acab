"""Answers that several nouns give."""

from marshmallow import fields

from api_service.schemas.base import EXAMPLE_ID, Output


class AcceptedSchema(Output):
    """Work that was asked for."""

    task_id = fields.UUID(
        required=True,
        metadata={
            "description": "The task that does it; `Location` is where to follow it.",
            "example": EXAMPLE_ID,
        },
    )
