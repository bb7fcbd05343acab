"""Signing in, and personal API tokens."""

import uuid
from typing import Any

from flask import Response, jsonify, request

from api_service.auth import principal
from api_service.blueprint import Blueprint
from api_service.context import parts, sessions, settings
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.schemas.base import PageQuery
from api_service.schemas.tokens import LoginInput, NewTokenSchema, TokenCreate, TokenSchema
from api_service.services import tokens
from shared import database
from shared.errors import TooManyAttempts, Unauthorized
from shared.models.user import Role, Token

blueprint = Blueprint("auth", "Signing in, and personal API tokens.")


@blueprint.operation("POST", "/auth/login", role=None, raises=(Unauthorized, TooManyAttempts))
@blueprint.arguments(LoginInput)
@blueprint.response(200, NewTokenSchema)
def login(body: dict[str, Any]) -> Response:
    """Sign in.

    Address and password become a token that lives for `VEDETTE_TOKEN_DAYS`. After too many wrong passwords for one account
    from one address the answer is 429 for a while.
    """
    attempt = parts().attempts.begin(body["email"], request.remote_addr or "")
    with database.reading(sessions()) as session:
        found = tokens.find_account(session, body["email"])
    account = tokens.check_password(found, body["password"])
    with database.transaction(sessions()) as session:
        token, text = tokens.login(session, account, settings().token_days)
    attempt.succeeded()
    return jsonify(_shown(token, text))


@blueprint.operation("POST", "/auth/tokens", role=Role.VIEWER, idempotent=True)
@blueprint.arguments(TokenCreate)
@blueprint.response(201, NewTokenSchema)
def create_token(body: dict[str, Any]) -> Response:
    """Make a personal API token.

    The answer shows it once. It may do what its owner may do, as long as they may.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            token, text = tokens.create_token(session, principal(), **body)
            return Answer(_shown(token, text), hidden=frozenset({"token"}))

        return once(session, act)


@blueprint.operation("GET", "/auth/tokens", role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(TokenSchema)
def list_tokens(query: dict[str, Any]) -> Page[Token]:
    """List one's own tokens.

    Newest first, those of signing in and revoked ones included; without the tokens themselves.
    """
    with database.reading(sessions()) as session:
        return tokens.list_tokens(session, principal(), **query)


@blueprint.operation("DELETE", "/auth/tokens/<uuid:token_id>", role=Role.VIEWER)
@blueprint.response(204)
def revoke_token(token_id: uuid.UUID) -> None:
    """Revoke a token.

    One's own; an admin revokes anybody's. It stops working at once. Signing out is revoking the token of signing in.
    """
    with database.transaction(sessions()) as session:
        tokens.revoke_token(session, principal(), token_id)


def _shown(token: Token, text: str) -> dict[str, Any]:
    return {**TokenSchema().dump(token), "token": text}
