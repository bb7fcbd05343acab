"""Request bodies and query strings become values, or errors that say where and why."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

import flask
import marshmallow as ma
from webargs import core
from webargs.flaskparser import FlaskParser, is_json_request
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from shared.errors import Invalid


class Parser(FlaskParser):
    """webargs' parser, stricter: refuses unknown query parameters, and what a database could not store."""

    DEFAULT_UNKNOWN_BY_LOCATION = {  # noqa: RUF012  # webargs declares it as the instance's
        **FlaskParser.DEFAULT_UNKNOWN_BY_LOCATION,
        "query": ma.RAISE,
        "json": ma.RAISE,
    }

    def load_json(self, req: flask.Request, schema: ma.Schema) -> Any:  # noqa: ARG002
        """The parsed body; nothing when there is none."""
        raw = req.get_data(cache=True)
        if not raw:
            return core.missing
        if not is_json_request(req):
            raise UnsupportedMediaType("The body must be JSON, with Content-Type: application/json.")
        return parse_json(raw)

    def load_querystring(self, req: flask.Request, schema: ma.Schema) -> Any:
        """The query parameters."""
        for name, values in req.args.lists():
            check_text({name: values}, "Query parameters")
        return super().load_querystring(req, schema)

    def handle_error(
        self,
        error: ma.ValidationError,
        req: flask.Request,  # noqa: ARG002
        schema: ma.Schema,  # noqa: ARG002
        *,
        error_status_code: int | None,  # noqa: ARG002
        error_headers: Mapping[str, str] | None,  # noqa: ARG002
    ) -> NoReturn:
        """Raise what the schema found, each place with its messages."""
        places: dict[str, list[str]] = {}
        for messages in error.messages_dict.values():  # by location: json, query
            for place, text in _flatten(messages):
                places.setdefault(place, []).append(text)
        first = "; ".join(
            f"{place}: {texts[0]}" if place else texts[0] for place, texts in list(places.items())[:3]
        )
        raise Invalid(first, places) from error


def parse_json(raw: bytes) -> Any:
    """A JSON document; answers 400 where it is none and 422 where it holds text that cannot be stored."""
    try:
        text = raw.decode("utf-8-sig")
        document = json.loads(text, parse_constant=_no_constant)
    except (
        ValueError,
        RecursionError,
    ) as error:  # UnicodeDecodeError, JSONDecodeError, an integer with 5,000 digits
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise BadRequest(f"The body is not valid JSON: {reason}.") from None
    if "\\u" in text:  # only an escape can write what check_text refuses
        check_text(document, "The body")
    return document


def check_text(document: Any, what: str) -> None:
    """Raise Invalid where a string holds a NUL or half a surrogate pair, which PostgreSQL cannot store."""
    for text in _strings(document):
        if not is_storable(text):
            raise Invalid(f"{what} must not hold NUL characters or unpaired surrogates.")


def is_storable(text: str) -> bool:
    """Whether every database can store this text."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _strings(document: Any) -> Iterator[str]:
    stack = [document]
    while stack:
        value = stack.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            stack.extend(value)
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _flatten(messages: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """`{"components": {0: {"name": ["..."]}}}` as `components.0.name` and its texts."""
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            here = "" if key == "_schema" else str(key)
            yield from _flatten(inner, ".".join(filter(None, (place, here))))
    elif isinstance(messages, list):
        for inner in messages:
            yield from _flatten(inner, place)
    else:
        yield place, str(messages)
