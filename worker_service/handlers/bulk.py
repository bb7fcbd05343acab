"""Many rows in few statements, as fast as each database can take them from Python.

SQLite takes a list of `VALUES`, a few thousand values long: a quarter cheaper than row by row, and the interpreter is free
for other threads meanwhile (row by row, they would fight for it at every row). PostgreSQL takes one array per column and
unnests them: one round trip and one plan however many rows there are.
"""

import itertools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.models.base import Base

Row = Sequence[Any]

_SQLITE_VALUES = 3000
"""In one statement; SQLite's own limit is 32,766."""


def insert(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row], *, replace: bool = False
) -> None:
    """Insert rows; a row whose primary key is there already is left out, or replaced if `replace`."""
    table = _table(model)
    keys = [column.name for column in table.primary_key]
    changes = ", ".join(f"{_q(name)} = excluded.{_q(name)}" for name in columns if name not in keys)
    then = f"DO UPDATE SET {changes}" if replace else "DO NOTHING"
    into = f"INSERT INTO {_q(table.name)} ({_names(columns)})"
    _execute(session, table, columns, rows, into, f"ON CONFLICT ({_names(keys)}) {then}")


def delete(session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Delete the rows whose `columns` have the values given."""
    table = _table(model)
    which = f"DELETE FROM {_q(table.name)} WHERE ({_names(columns)}) IN ("  # noqa: S608  # names come from the models
    _execute(session, table, columns, rows, which, ")")


def _execute(
    session: Session, table: sa.Table, columns: Sequence[str], rows: Iterable[Row], before: str, after: str
) -> None:
    """Run `before <rows> after`, the rows being a table of constants."""
    connection = session.connection()
    values = _driver_rows(connection.dialect, table, columns, rows)
    if connection.dialect.name == "sqlite":
        row = f"({', '.join('?' * len(columns))})"
        size = max(1, _SQLITE_VALUES // len(columns))
        for start in range(0, len(values), size):
            chunk = values[start : start + size]
            marks = ", ".join([row] * len(chunk))
            connection.exec_driver_sql(
                f"{before} VALUES {marks} {after}", tuple(itertools.chain.from_iterable(chunk))
            )
    elif values:
        types = [table.c[name].type.compile(connection.dialect).split("(")[0] for name in columns]
        # %b: bytes travel as they are, not as hexadecimal digits.
        arrays = ", ".join(f"{'%b' if kind == 'BYTEA' else '%s'}::{kind}[]" for kind in types)
        parameters = tuple(map(list, zip(*values, strict=True)))
        statement = f"{before} SELECT * FROM unnest({arrays}) {after}"  # noqa: S608  # names come from the models
        connection.exec_driver_sql(statement, parameters)


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
