"""The OpenAPI document: what flask-smorest makes of the blueprints, with our errors, headers and security."""

from http import HTTPStatus
from importlib import metadata
from typing import Any

import flask_smorest
from flask import Flask

from api_service.errors import CONTENT_TYPE, STATUS
from api_service.schemas import webhooks
from api_service.schemas.problem import ProblemSchema

TITLE = "Vedette"
DESCRIPTION = """\
Mirror the NVD, scan what you run against it, and hear of what changes.

* **Tokens**: `POST /api/v1/auth/login` answers one; send it as `Authorization: Bearer <token>`.
* **Errors** are `application/problem+json` (RFC 9457).
* **Lists** take `page` and `page_size` and tell their length in `X-Pagination`.
* **Long work** answers `202` with the `Location` of its task; `GET /api/v1/tasks/{task_id}?wait=30` waits for it.
* **Sending a `POST` again** is safe with an `Idempotency-Key`.

This product uses the NVD API but is not endorsed or certified by the NVD.
"""
_NUMBERS = ("total", "total_pages", "page", "first_page", "last_page", "previous_page", "next_page")
_DETAILS = {
    400: "The body is not valid JSON: Expecting value: line 1 column 1 (char 0).",
    401: "The token is wrong, expired or revoked.",
    403: "This needs the role admin; yours is viewer.",
    404: "There is no such thing.",
    409: "Its present state does not allow this.",
    412: "It was changed since you read it.",
    413: "The data value transmitted exceeds the capacity limit.",
    415: "The body must be JSON, with Content-Type: application/json.",
    422: "name: Missing data for required field.",
    428: "Send If-Match with the ETag of what you read.",
    429: "Too many attempts to sign in; wait a little.",
    500: "The service failed to answer; its log says why under this request_id.",
    503: "The database does not answer; nothing was changed.",
}


class Api(flask_smorest.Api):
    """flask-smorest's Api without its own error format."""

    ERROR_SCHEMA = ProblemSchema
    DEFAULT_ERROR_RESPONSE_NAME = None

    def _register_error_handlers(self) -> None:
        """Leave errors to `api_service.errors`."""

    def _register_responses(self) -> None:
        for status in sorted({400, 415, *STATUS.values()}):
            self.spec.components.response(f"Problem{status}", _problem(status))

    def _register_pagination_header(self) -> None:
        numbers = {"type": "object", "properties": {name: {"type": "integer"} for name in _NUMBERS}}
        header = {
            "description": "How long the list is and which pages it has.",
            "content": {"application/json": {"schema": numbers}},
        }
        self.spec.components.header("PAGINATION", header, lazy=True)
        replayed = {
            "description": "`true` when this is the answer of an earlier request.",
            "schema": {"type": "string"},
        }
        location = {
            "description": "Where to find it, or to follow it.",
            "schema": {"type": "string", "format": "uri-reference"},
        }
        self.spec.components.header("LOCATION", location, lazy=True)
        self.spec.components.header("REPLAYED", replayed, lazy=True)


def _problem(status: int) -> dict[str, Any]:
    example = {**ProblemSchema.example(), "status": status, "detail": _DETAILS[status]}
    example["title"] = HTTPStatus(status).phrase
    if status == HTTPStatus.UNPROCESSABLE_ENTITY:
        example["errors"] = {"name": ["Missing data for required field."]}
    answer: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {CONTENT_TYPE: {"schema": ProblemSchema, "example": example}},
    }
    if status in (429, 503):
        answer["headers"] = {
            "Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}
        }
    if status == HTTPStatus.UNAUTHORIZED:
        answer["headers"] = {"WWW-Authenticate": {"description": "`Bearer`", "schema": {"type": "string"}}}
    return answer


def install(app: Flask) -> Api:
    """The Api of `app`, ready for blueprints; it serves /openapi.json."""
    app.config |= {
        "API_TITLE": TITLE,
        "API_VERSION": metadata.version("vedette"),
        "OPENAPI_VERSION": "3.1.0",
        "OPENAPI_URL_PREFIX": "/",
    }
    api = Api(spec_kwargs={"info": {"description": DESCRIPTION}, "servers": [{"url": "/"}]})
    api.init_app(app)
    webhooks.describe(api.spec)
    api.spec.components.security_scheme("bearer", {"type": "http", "scheme": "bearer"})
    return api
