"""Every error becomes application/problem+json (RFC 9457), here and nowhere else."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from flask import Flask, Response, g
from sqlalchemy import exc as sa_exc
from werkzeug.exceptions import HTTPException

from shared import errors

log = structlog.get_logger(__name__)

CONTENT_TYPE = "application/problem+json"

STATUS: dict[type[errors.VedetteError], int] = {
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Stale: 412,
    errors.Invalid: 422,
    errors.TooLarge: 413,
    errors.PreconditionRequired: 428,
    errors.Unauthorized: 401,
    errors.Forbidden: 403,
    errors.Unavailable: 503,
    errors.TooManyAttempts: 429,
    # A worker's business: where one of these reaches a request, the service is at fault.
    errors.Transient: 500,
    errors.Permanent: 500,
    errors.Interrupted: 500,
    errors.VedetteError: 500,
}
"""The status of each exception; a class that is not listed has its parent's."""

DATABASE_RETRY_SECONDS = 5


def status_of(kind: type[errors.VedetteError]) -> int:
    """The status that answers exceptions of this class."""
    return next(STATUS[ancestor] for ancestor in kind.__mro__ if ancestor in STATUS)


def problem(
    status: int,
    detail: str,
    *,
    fields: Mapping[str, list[str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem+json answer."""
    body = problem_body(status, detail, g.get("request_id", ""), fields)
    return Response(body, status, headers=dict(headers or {}), content_type=CONTENT_TYPE)


def problem_body(
    status: int, detail: str, request_id: str, fields: Mapping[str, list[str]] | None = None
) -> str:
    """The document of a problem. The status says its kind, so `type` is about:blank (RFC 9457 section 4.2.1)."""
    body: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": int(status),
        "detail": detail,
        "request_id": request_id,
    }
    if fields:
        body["errors"] = fields
    return json.dumps(body)


def install(app: Flask) -> None:
    """Register the handlers; the most specific one answers."""
    app.register_error_handler(errors.VedetteError, of_domain)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(sa_exc.DBAPIError, _database)
    app.register_error_handler(sa_exc.TimeoutError, _database)
    app.register_error_handler(Exception, _unexpected)


def of_domain(error: errors.VedetteError) -> Response:
    """The answer to an exception of ours."""
    status = status_of(type(error))
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return _unexpected(error)
    headers = {}
    if isinstance(error, errors.Unavailable):
        headers["Retry-After"] = str(error.retry_after)
    if isinstance(error, errors.Unauthorized):
        headers["WWW-Authenticate"] = 'Bearer realm="vedette"'
    fields = error.errors if isinstance(error, errors.Invalid) else None
    return problem(status, error.detail or HTTPStatus(status).description, fields=fields, headers=headers)


def _http(error: HTTPException) -> Response | HTTPException:
    if error.code is None or error.code < HTTPStatus.BAD_REQUEST:  # a redirect
        return error
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    return problem(error.code, error.description or "", headers=headers)


def _database(error: sa_exc.SQLAlchemyError) -> Response:
    away = isinstance(error, (sa_exc.OperationalError, sa_exc.InterfaceError, sa_exc.TimeoutError))
    if not away and not getattr(error, "connection_invalidated", False):
        return _unexpected(error)
    log.warning("database_away", error=str(getattr(error, "orig", error)))
    headers = {"Retry-After": str(DATABASE_RETRY_SECONDS)}
    return problem(503, "The database does not answer; nothing was changed.", headers=headers)


def _unexpected(error: Exception) -> Response:
    log.error("request_failed", exc_info=error)
    return problem(500, "The service failed to answer; its log says why under this request_id.")
