"""What every schema shares: the base classes for each direction, and fields that are as strict as their documentation."""

import datetime as dt
import re
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from api_service.paging import MAX_PAGE, MAX_PAGE_SIZE, PageRequest

EXAMPLE_ID = "0b6f9c1e-8f5b-4b57-9d0c-3a3d5a1c7e42"
_DIGITS = re.compile(r"-?[0-9]{1,18}")
EXAMPLE_TIME = "2026-10-01T12:00:00+00:00"


class Schema(ma.Schema):
    """A schema whose fields carry the examples that make its own."""

    @classmethod
    def example(cls) -> dict[str, Any]:
        """The examples of the fields together; an optional field without one is left out."""
        found = {}
        for name, field in cls().fields.items():
            example = _example_of(field)
            if example is not ma.missing:
                found[field.data_key or name] = example
        return found


def _example_of(field: fields.Field[Any]) -> Any:
    if "example" in field.metadata:
        return field.metadata["example"]
    if isinstance(field, fields.Nested) and isinstance(field.schema, Schema):
        return [field.schema.example()] if field.many else field.schema.example()
    if isinstance(field, fields.List):
        inner = _example_of(field.inner)
        return inner if inner is ma.missing else [inner]
    return ma.missing


class Input(Schema):
    """What comes in; an unknown field is an error, since a misspelt one would be lost silently."""

    class Meta:
        """Refuse what is not known."""

        unknown = ma.RAISE


class Output(Schema):
    """What goes out."""


class Flag(fields.Boolean):
    """A boolean in a JSON body: `true` or `false`, nothing that looks like it."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return bool(super()._deserialize(value, attr, data, **kwargs))


class QueryFlag(fields.Boolean):
    """A boolean in a query string: `true` or `false`."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(truthy={"true"}, falsy={"false"}, **kwargs)


class QueryNumber(fields.Integer):
    """An integer in a query string: digits, none of the other ways in which Python writes one."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, str) and not _DIGITS.fullmatch(value):
            raise self.make_error("invalid", input=value)
        return super()._validated(value)


class Number(fields.Integer):
    """An integer in a JSON body: a number, no string that reads like one."""

    def _validated(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.make_error("invalid", input=value)
        return value


class Moment(fields.AwareDateTime):
    """A time with its zone, within the years that it can be told in UTC."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.datetime:
        moment = super()._deserialize(value, attr, data, **kwargs)
        try:
            return moment.astimezone(dt.UTC)
        except OverflowError:
            raise self.make_error("invalid", input=value, obj_type=self.OBJ_TYPE) from None


class PageQuery(Input):
    """Which page of a list; subclasses add filters. Loads into `{page: PageRequest, ...filters}`."""

    page = QueryNumber(
        load_default=1,
        validate=validate.Range(1, MAX_PAGE),
        metadata={"description": "Which page, counted from 1."},
    )
    page_size = QueryNumber(
        load_default=50,
        validate=validate.Range(1, MAX_PAGE_SIZE),
        metadata={"description": "How many items a page holds."},
    )

    @ma.post_load
    def _to_page_request(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        size = data.pop("page_size")
        return {**data, "page": PageRequest(data["page"], size)}


def not_blank(maximum: int) -> list[validate.Validator]:
    """Validators for a name or title: some text, at most `maximum` characters."""
    return [validate.Length(1, maximum), validate.Regexp(r"^[\s\S]*\S", error="Must not be blank.")]


def identifier(description: str = "Its id.", **kwargs: Any) -> fields.UUID:
    """A UUID field with an example."""
    return fields.UUID(metadata={"description": description, "example": EXAMPLE_ID}, **kwargs)


def moment(description: str, **kwargs: Any) -> fields.DateTime:
    """A time in UTC with an example; None where it has not come yet."""
    return fields.DateTime(
        format="iso", metadata={"description": description, "example": EXAMPLE_TIME}, **kwargs
    )
