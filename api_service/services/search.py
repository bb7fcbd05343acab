"""Conditions that several lists filter by, the same on SQLite and PostgreSQL."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import InstrumentedAttribute, Session

Condition = sa.ColumnElement[bool]


def contains(column: InstrumentedAttribute[Any], text: str) -> Condition:
    """Whether a text column contains `text`, upper and lower case alike."""
    return column.icontains(text, autoescape=True)


def has_item(session: Session, column: InstrumentedAttribute[list[str]], item: str) -> Condition:
    """Whether a column that holds a list of strings holds this one."""
    if session.get_bind().dialect.name == "postgresql":
        return sa.cast(column, JSONB).contains([item])
    each = sa.func.json_each(column).table_valued("value")
    return sa.exists().select_from(each).where(each.c.value == item)


def conjunction(*pairs: tuple[sa.ColumnElement[Any] | InstrumentedAttribute[Any], Any]) -> list[Condition]:
    """`column == value` for each value that is not None."""
    return [column == value for column, value in pairs if value is not None]
