"""Signing in and tokens on the wire."""

from marshmallow import fields, validate

from api_service.schemas.base import Input, Number, Output, identifier, moment, not_blank


class LoginInput(Input):
    """Address and password."""

    email = fields.String(
        required=True,
        validate=validate.Length(1, 254),
        metadata={"description": "The user's address.", "example": "ada@example.org"},
    )
    password = fields.String(
        required=True,
        validate=validate.Length(1, 200),
        metadata={
            "description": "The user's password.",
            "example": "a long example password",
            "format": "password",
        },
    )


class TokenCreate(Input):
    """A personal token to make."""

    name = fields.String(
        required=True,
        validate=not_blank(100),
        metadata={"description": "What it is for.", "example": "pipeline"},
    )
    expires_in_days = Number(
        validate=validate.Range(1, 3650),
        metadata={"description": "How long it lives; without it, until it is revoked.", "example": 90},
    )


class TokenSchema(Output):
    """A token, without its secret."""

    id = identifier(required=True)
    name = fields.String(
        required=True,
        metadata={"description": "What it is for; `login` if signing in gave it.", "example": "pipeline"},
    )
    prefix = fields.String(
        required=True,
        metadata={"description": "Its first characters, to tell tokens apart.", "example": "vdt_Kx3f9a"},
    )
    created_at = moment("When it was made.", required=True)
    expires_at = moment("When it ends by itself; null means never.", required=True, allow_none=True)
    last_used_at = moment("When it was last used, to the minute.", required=True, allow_none=True)
    revoked_at = moment("When it was revoked; null while it is not.", required=True, allow_none=True)


class NewTokenSchema(TokenSchema):
    """A token, with its secret."""

    token = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The token itself, for `Authorization: Bearer`. Shown once: a replayed answer has null here.",
            "example": "vdt_Kx3f9aQ0jv2n8s1YtZ5wqL7eR4uB6mC9dXhPgTfVoNk",
        },
    )
