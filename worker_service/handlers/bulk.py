"""Many rows in one statement, as fast as each database can take them from Python.

SQLite takes tuples through `executemany`; PostgreSQL takes one array per column and unnests them, which is one round trip
and one plan however many rows there are.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.models.base import Base

Row = Sequence[Any]


def insert(
    session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row], *, replace: bool = False
) -> None:
    """Insert rows; a row whose primary key is there already is left out, or replaced if `replace`."""
    table = _table(model)
    keys = [column.name for column in table.primary_key]
    changes = ", ".join(f"{_q(name)} = excluded.{_q(name)}" for name in columns if name not in keys)
    target = ", ".join(map(_q, keys))
    then = (
        f"ON CONFLICT ({target}) DO UPDATE SET {changes}" if replace else f"ON CONFLICT ({target}) DO NOTHING"
    )
    names = ", ".join(map(_q, columns))
    head = f"INSERT INTO {_q(table.name)} ({names})"
    _execute(
        session,
        table,
        columns,
        rows,
        f"{head} VALUES ({{marks}}) {then}",
        f"{head} SELECT * FROM {{arrays}} {then}",  # noqa: S608  # names come from the models
    )


def delete(session: Session, model: type[Base], columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Delete the rows whose `columns` have the values given, row by row."""
    table = _table(model)
    names = ", ".join(map(_q, columns))
    head = f"DELETE FROM {_q(table.name)} WHERE ({names})"  # noqa: S608  # names come from the models
    by_array = f"{head} IN (SELECT * FROM {{arrays}})"  # noqa: S608
    _execute(session, table, columns, rows, f"{head} = ({{marks}})", by_array)


def _execute(
    session: Session, table: sa.Table, columns: Sequence[str], rows: Iterable[Row], by_row: str, by_array: str
) -> None:
    dialect = session.get_bind().dialect
    values = _driver_rows(dialect, table, columns, rows)
    if not values:
        return
    connection = session.connection()
    if dialect.name == "sqlite":
        connection.exec_driver_sql(by_row.format(marks=", ".join("?" * len(columns))), values)
    else:
        types = [table.c[name].type.compile(dialect).split("(")[0] for name in columns]
        arrays = f"unnest({', '.join(f'%s::{kind}[]' for kind in types)})"
        connection.exec_driver_sql(
            by_array.format(arrays=arrays), tuple(map(list, zip(*values, strict=True)))
        )


def _driver_rows(
    dialect: sa.Dialect, table: sa.Table, columns: Sequence[str], rows: Iterable[Row]
) -> list[tuple[Any, ...]]:
    """The rows with each value as the driver takes it, by the rules of the column's type."""
    processors: list[tuple[int, Callable[[Any], Any]]] = []
    for index, name in enumerate(columns):
        processor = table.c[name].type.dialect_impl(dialect).bind_processor(dialect)
        if processor is not None:
            processors.append((index, processor))
    if not processors:
        return [tuple(row) for row in rows]
    values = [list(column) for column in zip(*rows, strict=True)]
    if values:
        for index, process in processors:
            values[index] = list(map(process, values[index]))
    return list(zip(*values, strict=True))


def _table(model: type[Base]) -> sa.Table:
    table = model.__table__
    assert isinstance(table, sa.Table)  # noqa: S101  # a model without a table is a mistake in the code
    return table


def _q(name: str) -> str:
    return f'"{name}"'
