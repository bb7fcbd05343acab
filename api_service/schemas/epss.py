"""EPSS scores on the wire, wherever a vulnerability or a finding is shown."""

from marshmallow import fields, validate

from api_service.schemas.base import Output


class EpssSchema(Output):
    """How likely it is that a vulnerability is exploited (https://www.first.org/epss)."""

    score = fields.Float(
        required=True,
        metadata={"description": "The probability in the next 30 days, 0 to 1.", "example": 0.94461},
    )
    percentile = fields.Float(
        required=True,
        metadata={
            "description": "The share of all vulnerabilities with this score or a lower one.",
            "example": 0.9999,
        },
    )


def epss_field() -> fields.Nested:
    """The score of the vulnerability, if it has one."""
    return fields.Nested(
        EpssSchema,
        required=True,
        allow_none=True,
        metadata={"description": "FIRST's EPSS score; null when there is none."},
    )


def epss_min() -> fields.Float:
    """The filter of a list."""
    description = "Only those with an EPSS score of at least this, 0 to 1."
    return fields.Float(validate=validate.Range(0, 1), metadata={"description": description})


def sort(default: str) -> fields.String:
    """The order of a list: its own, `default`, or by EPSS score."""
    description = f"`{default}`, or `epss`: the likeliest to be exploited first, those without a score last."
    return fields.String(
        load_default=default,
        validate=validate.OneOf([default, "epss"]),
        metadata={"description": description},
    )
