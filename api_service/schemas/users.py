"""Users on the wire."""

from marshmallow import fields, validate

from api_service.schemas.base import Flag, Input, Output, PageQuery, QueryFlag, identifier, moment, not_blank
from shared.credentials import PASSWORD_LENGTH
from shared.models.user import Role

PASSWORD = validate.Length(*PASSWORD_LENGTH)


def _role(**kwargs: object) -> fields.Enum[Role]:
    return fields.Enum(
        Role,
        by_value=fields.String,
        metadata={
            "description": "`viewer` reads, `analyst` also scans and triages, `admin` also manages.",
            "example": "analyst",
        },
        **kwargs,  # type: ignore[arg-type]
    )


class UserCreate(Input):
    """A user to add."""

    email = fields.Email(
        required=True,
        validate=validate.Length(max=254),
        metadata={
            "description": "The address to sign in with; upper and lower case are one.",
            "example": "ada@example.org",
        },
    )
    name = fields.String(
        required=True,
        validate=not_blank(200),
        metadata={"description": "What to call them.", "example": "Ada"},
    )
    role = _role(required=True)
    password = fields.String(
        validate=PASSWORD,
        metadata={
            "description": "Without one they can only use tokens.",
            "example": "a long example password",
            "format": "password",
        },
    )


class UserChange(Input):
    """What to change of a user; what is left out stays."""

    email = fields.Email(validate=validate.Length(max=254), metadata={"description": "A new address."})
    name = fields.String(
        validate=not_blank(200), metadata={"description": "What to call them.", "example": "Ada L."}
    )
    role = _role()
    active = Flag(metadata={"description": "False stops all of the user's tokens at once.", "example": True})
    password = fields.String(
        validate=PASSWORD,
        metadata={"description": "A new password; it ends what was signed in.", "format": "password"},
    )


class UserQuery(PageQuery):
    """Which users."""

    role = fields.Enum(Role, by_value=fields.String, metadata={"description": "Only with this role."})
    active = QueryFlag(metadata={"description": "Only active, or only deactivated ones."})


class UserSchema(Output):
    """A user."""

    id = identifier(required=True)
    email = fields.String(
        required=True, metadata={"description": "The address, in lower case.", "example": "ada@example.org"}
    )
    name = fields.String(required=True, metadata={"description": "What to call them.", "example": "Ada"})
    role = _role(required=True)
    active = fields.Boolean(
        required=True, metadata={"description": "Whether they may do anything.", "example": True}
    )
    created_at = moment("When they were added.", required=True)
