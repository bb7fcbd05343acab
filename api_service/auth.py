"""A bearer token becomes a principal; `require` says which role an operation needs."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import structlog
from flask import g, request
from sqlalchemy.exc import OperationalError

from api_service.context import sessions, settings
from api_service.services import tokens
from api_service.services.tokens import Principal
from shared import database
from shared.errors import Forbidden, NotFound, Unauthorized
from shared.models.user import Role

log = structlog.get_logger(__name__)

View = Callable[..., Any]

MAX_TOKEN_LENGTH = 256


def require(role: Role) -> Callable[[View], View]:
    """Let only principals with this role, or a greater one, through."""
    return _require(role, _bearer_token)


def _require(role: Role, token: Callable[[], str]) -> Callable[[View], View]:
    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            who = _authenticate(token())
            if not who.role.includes(role):
                raise Forbidden(f"This needs the role {role}; yours is {who.role}.")
            return view(*args, **kwargs)

        guarded.required_role = role  # type: ignore[attr-defined]
        return guarded

    return decorate


def public(view: View) -> View:
    """Let everybody through, token or not."""

    @wraps(view)
    def opened(*args: Any, **kwargs: Any) -> Any:
        return view(*args, **kwargs)

    opened.required_role = None  # type: ignore[attr-defined]
    return opened


def require_of_downstream(role: Role) -> Callable[[View], View]:
    """Let those through who may have the mirror served on, as the setting `serve_nvd` says.

    Where it asks for a token, that may come as programs for the NVD can send it: in the NVD's own header `apiKey`, or as the
    password of HTTP Basic (RFC 7617), whatever the user's name.
    """

    def decorate(view: View) -> View:
        admitted = public(view)
        of_role = _require(role, _downstream_token)(view)

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            mode = settings().serve_nvd
            if mode == "off":
                raise NotFound("This Vedette does not serve its mirror on (VEDETTE_SERVE_NVD is off).")
            return (admitted if mode == "open" else of_role)(*args, **kwargs)

        guarded.required_role = role  # type: ignore[attr-defined]
        return guarded

    return decorate


def sender() -> str:
    """Who sends this request, known or not: something to tell clients apart by."""
    who: Principal | None = g.get("principal")
    return str(who.token_id) if who else str(request.remote_addr)


def principal() -> Principal:
    """Who sends this request; only within operations that `require` a role."""
    who: Principal = g.principal
    return who


def _authenticate(text: str) -> Principal:
    with database.reading(sessions()) as session:
        who, is_due = tokens.authenticate(session, text)
    if is_due:
        _note_use(who)
    g.principal = who
    structlog.contextvars.bind_contextvars(user_id=str(who.user_id))
    return who


def _note_use(who: Principal) -> None:
    """Note when the token was used; reading goes on where writing cannot (a full disk, a long writer)."""
    try:
        with database.transaction(sessions()) as session:
            tokens.note_use(session, who.token_id)
    except OperationalError as error:
        log.warning("use_not_noted", error=str(error.orig))


def _bearer_token() -> str:
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        text = ""
    return _plausible(text.strip())


def _downstream_token() -> str:
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        return _plausible(basic.password or "")
    return _plausible(request.headers.get("apiKey", "")) if basic is None else _bearer_token()


def _plausible(text: str) -> str:
    if not text:
        raise Unauthorized("Send a token: Authorization: Bearer <token>.")
    if len(text) > MAX_TOKEN_LENGTH:
        raise Unauthorized("The token is wrong, expired or revoked.")
    return text
