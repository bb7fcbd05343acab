"""What every model shares: the declarative base, names for constraints, and column types."""

import datetime as dt
import enum
import uuid
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import DeclarativeBase

from shared.database import UtcDateTime

Document = dict[str, Any]
"""A JSON object."""

JsonColumn = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")

EnumT = type[enum.StrEnum]


def enum_column(states: EnumT) -> sa.Enum:
    """A string column whose values are the members' values (no native enum: adding a member needs no type change)."""
    return sa.Enum(
        states,
        native_enum=False,
        length=32,
        create_constraint=False,
        values_callable=lambda e: [m.value for m in e],
    )


class Base(DeclarativeBase):
    """Root of all models."""

    metadata = sa.MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {
        dt.datetime: UtcDateTime(),
        Document: JsonColumn,
        list[str]: JsonColumn,
        list[Document]: JsonColumn,
        uuid.UUID: sa.Uuid(),
        bytes: sa.LargeBinary(),
    }
