"""Many rows in few statements, as fast as each database can take them from Python.

SQLite takes a list of `VALUES`, as long as it may be: a quarter cheaper than row by row, and the interpreter is free
for other threads meanwhile (row by row, they would fight for it at every row). PostgreSQL takes one array per column and
unnests them: one round trip and one plan however many rows there are.
"""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.base import Base

Row = Sequence[Any]

REPLACE = "REPLACE"
"""On conflict: all columns that are given."""

_SQLITE_VALUES = 16_384
"""In one statement; SQLite's own limit is 32,766."""


def insert(
    session: Session,
    model: type[Base],
    columns: Sequence[str],
    rows: Iterable[Row],
    *,
    on_conflict: str = "DO NOTHING",
) -> None:
    """Insert rows; `on_conflict` says what becomes of one whose primary key is there already (SQL, or REPLACE)."""
    table = _table(model)
    keys = [column.name for column in table.primary_key]
    if on_conflict == REPLACE:
        changes = (f"{_q(name)} = excluded.{_q(name)}" for name in columns if name not in keys)
        on_conflict = f"DO UPDATE SET {', '.join(changes)}"
    into = f"INSERT INTO {_q(table.name)} ({_names(columns)})"
    _execute(session, table, columns, rows, into, f"ON CONFLICT ({_names(keys)}) {on_conflict}")


def delete(session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Delete the rows whose `columns` have the values given."""
    table = _table(model)
    which = f"DELETE FROM {_q(table.name)} WHERE ({_names(columns)}) IN ("  # noqa: S608  # names come from the models
    _execute(session, table, columns, rows, which, ")")


def look_up(
    session: Session, model: type[Base], columns: Sequence[str], keys: Iterable[Any]
) -> Iterator[tuple[Any, ...]]:
    """These columns, as the driver gives them, of the rows that are there under the primary keys.

    Straight through the driver: for a batch of new records, composing the list would be all the work.
    """
    table = _table(model)
    (key,) = table.primary_key
    connection = session.connection()
    mark = "?" if connection.dialect.paramstyle == "qmark" else "%s"
    for chunk in database.in_lists(keys):
        marks = ", ".join([mark] * len(chunk))
        statement = f"SELECT {_names(columns)} FROM {_q(table.name)} WHERE {_q(key.name)} IN ({marks})"  # noqa: S608  # names come from the models
        yield from map(tuple, connection.exec_driver_sql(statement, tuple(chunk)))


def _execute(
    session: Session, table: sa.Table, columns: Sequence[str], rows: Iterable[Row], before: str, after: str
) -> None:
    """Run `before <rows> after`, the rows being a table of constants."""
    connection = session.connection()
    values = _driver_rows(connection.dialect, table, columns, rows)
    if connection.dialect.name == "sqlite":
        row = f"({', '.join('?' * len(columns))})"
        start = 0
        for size in _sizes(len(values), _SQLITE_VALUES // len(columns)):
            marks = ", ".join([row] * size)
            chunk = itertools.chain.from_iterable(values[start : start + size])
            connection.exec_driver_sql(f"{before} VALUES {marks} {after}", tuple(chunk))
            start += size
    elif values:
        types = [table.c[name].type.compile(connection.dialect).split("(")[0] for name in columns]
        # %b: bytes travel as they are, not as hexadecimal digits.
        arrays = ", ".join(f"{'%b' if kind == 'BYTEA' else '%s'}::{kind}[]" for kind in types)
        parameters = tuple(map(list, zip(*values, strict=True)))
        statement = f"{before} SELECT * FROM unnest({arrays}) {after}"  # noqa: S608  # names come from the models
        connection.exec_driver_sql(statement, parameters)


def _sizes(count: int, most: int) -> Iterator[int]:
    """`count` as a sum of powers of two, none above `most`: few different statements for SQLite to keep prepared."""
    while count:
        size = 1 << (min(count, most).bit_length() - 1)
        yield size
        count -= size


def _driver_rows(
    dialect: sa.Dialect, table: sa.Table, columns: Sequence[str], rows: Iterable[Row]
) -> list[tuple[Any, ...]]:
    """The rows with each value as the driver takes it, by the rules of the column's type."""
    processors: list[tuple[int, Callable[[Any], Any]]] = []
    for index, name in enumerate(columns):
        kind = table.c[name].type
        if isinstance(kind, sa.Boolean | sa.LargeBinary):
            continue  # every driver takes them as they are, and there are millions of them
        processor = kind.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            processors.append((index, processor))
    if not processors:
        return list(map(tuple, rows))
    values = [list(column) for column in zip(*rows, strict=True)]
    if values:
        for index, process in processors:
            values[index] = list(map(process, values[index]))
    return list(zip(*values, strict=True))


def _table(model: type[Base]) -> sa.Table:
    table = model.__table__
    assert isinstance(table, sa.Table)  # noqa: S101  # a model without a table is a mistake in the code
    return table


def _names(columns: Iterable[str]) -> str:
    return ", ".join(map(_q, columns))


def _q(name: str) -> str:
    return f'"{name}"'
