"""Users, for admins."""

import uuid
from typing import Any

from flask import Response

from api_service.blueprint import PREFIX, Blueprint
from api_service.context import sessions
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.schemas.users import UserChange, UserCreate, UserQuery, UserSchema
from api_service.services import users
from shared import database
from shared.errors import Conflict
from shared.models.user import Role, User

blueprint = Blueprint("users", "Who signs in, and what they may do.")


@blueprint.operation("POST", "/users", role=Role.ADMIN, raises=(Conflict,), idempotent=True)
@blueprint.arguments(UserCreate)
@blueprint.response(201, UserSchema, headers={"Location": "LOCATION"})
def create_user(body: dict[str, Any]) -> Response:
    """Add a user."""
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            user = users.create_user(session, **body)
            return Answer(UserSchema().dump(user), 201, f"{PREFIX}/users/{user.id}")

        return once(session, act)


@blueprint.operation("GET", "/users", role=Role.ADMIN)
@blueprint.arguments(UserQuery, location="query")
@blueprint.page(UserSchema)
def list_users(query: dict[str, Any]) -> Page[User]:
    """List users.

    Newest first.
    """
    with database.reading(sessions()) as session:
        return users.list_users(session, **query)


@blueprint.operation("GET", "/users/<uuid:user_id>", role=Role.ADMIN)
@blueprint.response(200, UserSchema)
def get_user(user_id: uuid.UUID) -> User:
    """Show a user."""
    with database.reading(sessions()) as session:
        return users.get_user(session, user_id)


@blueprint.operation("PATCH", "/users/<uuid:user_id>", role=Role.ADMIN, raises=(Conflict,))
@blueprint.arguments(UserChange)
@blueprint.response(200, UserSchema)
def change_user(body: dict[str, Any], user_id: uuid.UUID) -> User:
    """Change a user.

    Deactivation stops all of the user's tokens at once. The last active admin stays one.
    """
    with database.transaction(sessions()) as session:
        return users.change_user(session, user_id, body)


@blueprint.operation("DELETE", "/users/<uuid:user_id>", role=Role.ADMIN, raises=(Conflict,))
@blueprint.response(204)
def delete_user(user_id: uuid.UUID) -> None:
    """Delete a user.

    With their tokens and notifications. Somebody whom the history of findings names can only be deactivated.
    """
    with database.transaction(sessions()) as session:
        users.delete_user(session, user_id)
