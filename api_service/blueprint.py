"""flask-smorest's blueprint with what all operations share: who may, which errors follow, and an example of everything."""

import json
import re
from collections.abc import Callable, Iterable
from copy import deepcopy
from dataclasses import dataclass
from functools import wraps
from http import HTTPStatus
from typing import Any

import flask_smorest
from flask import Response, request
from flask_smorest.utils import unpack_tuple_response

from api_service import auth
from api_service.context import settings
from api_service.errors import status_of
from api_service.paging import Page
from api_service.parsing import Parser, is_storable
from api_service.schemas.base import Output, Schema
from shared import errors
from shared.models.user import Role

PREFIX = "/api/v1"
JSON_LIMIT = 1024 * 1024
"""Largest body of an ordinary operation, in bytes."""
MAY_BE_REPEATED = {
    "in": "header",
    "name": "Idempotency-Key",
    "description": "A value of the client's own choosing, such as a UUID, that makes it safe to send the request again: "
    "the same key with the same request is answered with the first answer and does nothing twice.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
}

PATH_EXAMPLES = {
    "cve_id": "CVE-2014-0160",
    "feed": "2014",
    "queue": "scans",
    "source": "kev",
}
"""What Swagger UI puts where a path asks for a name that is the same everywhere; ids are only known to who asked before."""

View = Callable[..., Any]


@dataclass(frozen=True)
class Operation:
    """What is documented of an operation beside its arguments and its answer."""

    operation_id: str
    role: Role | None
    statuses: frozenset[int]
    """Of the errors that it raises."""
    idempotent: bool


class Blueprint(flask_smorest.Blueprint):
    """The operations of one noun."""

    ARGUMENTS_PARSER = Parser()

    def __init__(self, name: str, description: str, url_prefix: str = PREFIX) -> None:
        super().__init__(name, __name__, url_prefix=url_prefix, description=description)
        self._prepare_doc_cbks.append(_document)

    def operation(
        self,
        method: str,
        rule: str,
        *,
        role: Role | None,
        raises: Iterable[type[errors.VedetteError]] = (),
        idempotent: bool = False,
        body_limit: int | None = JSON_LIMIT,
        admit: Callable[[Role], Callable[[View], View]] = auth.require,
    ) -> Callable[[View], View]:
        """Serve `method` on `rule` to principals with `role` (None: to everybody).

        `raises` names the errors beside those that follow from the rest. `body_limit` of None leaves the limit at the
        setting `max_document_bytes`. `admit` asks for the role.
        """

        def decorate(view: View) -> View:
            guarded = admit(role)(view) if role else auth.public(view)

            @wraps(guarded)
            def limited(*args: Any, **kwargs: Any) -> Any:
                if body_limit is not None:
                    request.max_content_length = min(body_limit, settings().max_document_bytes)
                if not all(is_storable(str(value)) for value in kwargs.values()):
                    raise errors.NotFound("There is nothing with such a name.")
                return guarded(*args, **kwargs)

            statuses = {status_of(kind) for kind in raises}
            statuses |= {404} if "<" in rule else set()
            statuses |= {401} if role else set()
            statuses |= {403} if role and role != Role.VIEWER else set()
            limited._apidoc = deepcopy(getattr(view, "_apidoc", {}))  # type: ignore[attr-defined]  # noqa: SLF001
            limited._apidoc["operation"] = Operation(  # type: ignore[attr-defined]  # noqa: SLF001
                _camel_case(view.__name__), role, frozenset(statuses), idempotent
            )
            self.add_url_rule(rule, view.__name__, limited, methods=[method], parameters=_path_examples(rule))
            return view

        return decorate

    def arguments(
        self, schema: type[Schema], *, location: str = "json", **kwargs: Any
    ) -> Callable[[View], View]:
        """Parse the body or the query with `schema`; the body's example is made of its fields' examples.

        A body must be sent unless `required=False`, when a missing one counts as `{}`.
        """
        decorate: Callable[[View], View]
        if location != "json":
            decorate = super().arguments(schema, location=location, **kwargs)
            return decorate
        if "examples" not in kwargs:
            kwargs.setdefault("example", schema.example())
        decorate = super().arguments(schema, location=location, **kwargs)
        return (lambda view: _with_body(decorate(view))) if kwargs.get("required", True) else decorate

    def response(self, status_code: int, schema: Any = None, **kwargs: Any) -> Callable[[View], View]:
        """Answer with `schema`; the answer's example is made of its fields' examples."""
        if isinstance(schema, type) and issubclass(schema, Schema) and "examples" not in kwargs:
            kwargs.setdefault("example", schema.example())
        decorate: Callable[[View], View] = super().response(status_code, schema, **kwargs)
        return (
            (lambda view: decorate(_without_content(view)))
            if status_code == HTTPStatus.NO_CONTENT
            else decorate
        )

    def page(self, schema: type[Output]) -> Callable[[View], View]:
        """Answer a `Page` as a list of `schema`, its numbers in X-Pagination."""
        documented = self.response(
            200, schema(many=True), example=[schema.example()], headers={"X-Pagination": "PAGINATION"}
        )

        def decorate(view: View) -> View:
            @wraps(view)
            def paged(*args: Any, **kwargs: Any) -> Any:
                page, status, headers = unpack_tuple_response(view(*args, **kwargs))
                assert isinstance(page, Page)  # noqa: S101  # what the decorator is for
                numbers = {"X-Pagination": json.dumps(page.metadata())}
                return page.items, status, {**(headers or {}), **numbers}

            return documented(paged)

        return decorate


def _with_body(view: View) -> View:
    @wraps(view)
    def demanding(*args: Any, **kwargs: Any) -> Any:
        if not request.get_data(cache=True):
            raise errors.Invalid("Send a JSON body.")
        return view(*args, **kwargs)

    return demanding


def _without_content(view: View) -> View:
    @wraps(view)
    def emptied(*args: Any, **kwargs: Any) -> Response:
        view(*args, **kwargs)
        return Response(status=HTTPStatus.NO_CONTENT)

    return emptied


def _path_examples(rule: str) -> list[dict[str, Any]]:
    names = [name for name in PATH_EXAMPLES if f"<{name}>" in rule]
    return [{"in": "path", "name": name, "example": PATH_EXAMPLES[name]} for name in names]


def _camel_case(name: str) -> str:
    return re.sub(r"_([a-z0-9])", lambda found: found[1].upper(), name)


def _document(doc: dict[str, Any], doc_info: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Add to flask-smorest's documentation what follows from an `Operation`."""
    operation: Operation = doc_info["operation"]
    statuses = set(operation.statuses) | {500, 503}
    if "requestBody" in doc:
        statuses |= {400, 413, 415, 422}
    if "arguments" in doc_info or operation.idempotent:
        statuses.add(422)
    responses = doc.setdefault("responses", {})
    responses |= {status: f"Problem{status}" for status in sorted(statuses)}
    if operation.idempotent:
        doc.setdefault("parameters", []).append(deepcopy(MAY_BE_REPEATED))
        for status, answer in responses.items():
            if int(status) < 300:
                answer.setdefault("headers", {})["Idempotency-Replayed"] = "REPLAYED"
    doc["responses"] = dict(sorted(responses.items(), key=lambda item: int(item[0])))
    doc["operationId"] = operation.operation_id
    doc["security"] = [{"bearer": []}] if operation.role else []
    if operation.role:
        doc["x-role"] = operation.role.value
    docstring = doc_info["docstring"]
    who = f"Needs the role `{operation.role}`." if operation.role else "Needs no token."
    docstring["description"] = "\n\n".join(filter(None, (docstring.get("description"), who)))
    return doc
