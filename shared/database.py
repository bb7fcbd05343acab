"""Engine, session and transaction, the same on SQLite and PostgreSQL.

SQLite: WAL, foreign keys on, a busy time-out, and `BEGIN IMMEDIATE` for every writing transaction (a transaction that
reads first and writes later would otherwise fail with "database is locked" whatever the time-out).
"""

import datetime as dt
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session, sessionmaker
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection
from sqlalchemy.sql.functions import FunctionElement

Sessions = sessionmaker[Session]
_T = TypeVar("_T")

BUSY_SECONDS = 30
"""How long a SQLite writer waits for another one."""
CONNECT_SECONDS = 5
"""How long PostgreSQL may take to let us in."""
IDLE_SECONDS = 60
"""PostgreSQL ends a transaction that does nothing for so long: a stopped process must not hold its rows for ever."""
LIST_LENGTH = 1000
"""Values in one IN list: SQLite allows 32,766 variables a statement, and a value may be several."""
REST_SECONDS = 1.0
"""A connection that was used later than so long ago is taken to live still; a server takes longer to restart."""
NO_LIMIT = -1
"""Threads bound the connections; one that keeps a lease alive must never wait for those that work."""


class UtcDateTime(sa.types.TypeDecorator[dt.datetime]):
    """An aware UTC datetime in Python; `timestamptz` in PostgreSQL, sortable text in SQLite."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:
        """Refuse naive datetimes; SQLite stores the UTC clock without its zone."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a naive datetime has no place in the database: {value!r}")
        value = value.astimezone(dt.UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: dt.datetime | None, dialect: sa.Dialect) -> dt.datetime | None:  # noqa: ARG002
        """Give the zone back."""
        if value is None:
            return None
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)


def make_engine(url: str) -> sa.Engine:
    """An engine for `url`, with what each database needs set on every connection.

    Its errors, which end up in logs, do not tell the values of a statement: they may be digests of secrets.
    """
    if sa.make_url(url).get_backend_name() != "sqlite":
        connect: dict[str, Any] = {"connect_timeout": CONNECT_SECONDS}
        if "options" not in sa.make_url(url).query:
            connect["options"] = f"-c idle_in_transaction_session_timeout={IDLE_SECONDS}s"
        engine = sa.create_engine(
            url, pool_size=10, max_overflow=NO_LIMIT, connect_args=connect, hide_parameters=True
        )
        _ping_after_a_rest(engine)
        _take_back_from_drivers(engine)
        return engine
    engine = sa.create_engine(
        url, max_overflow=NO_LIMIT, connect_args={"timeout": BUSY_SECONDS}, hide_parameters=True
    )

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
        connection.isolation_level = None  # we emit BEGIN ourselves
        cursor = connection.cursor()
        for pragma in (
            "journal_mode=WAL",
            "synchronous=NORMAL",
            "foreign_keys=ON",
            "temp_store=MEMORY",
            "cache_size=-32000",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        read_only = connection.get_execution_options().get("read_only", False)
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def _ping_after_a_rest(engine: sa.Engine) -> None:
    """Have a pooled connection prove that it lives, and the whole pool thrown away when it does not, unless it was used just now.

    SQLAlchemy's own `pool_pre_ping` asks every time, which costs a short transaction as much again.
    """

    @sa.event.listens_for(engine, "checkin")
    def note(_connection: DBAPIConnection | None, entry: ConnectionPoolEntry) -> None:
        entry.info["rests_since"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def ping(connection: DBAPIConnection, entry: ConnectionPoolEntry, _proxy: PoolProxiedConnection) -> None:
        if time.monotonic() - entry.info.get("rests_since", math.inf) < REST_SECONDS:
            return  # a new one has not rested at all
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error:
            raise sa.exc.InvalidatePoolError from None


def _take_back_from_drivers(engine: sa.Engine) -> None:
    """Have connections that `driver` gave away begin transactions again."""

    @sa.event.listens_for(engine, "checkin")
    def back(connection: Any, _entry: ConnectionPoolEntry) -> None:
        if connection is not None and connection.autocommit:
            with suppress(engine.dialect.loaded_dbapi.Error):  # a dead one is found out before its next use
                connection.autocommit = False


def describe(url: str) -> str:
    """The database for people: without its password."""
    return sa.make_url(url).render_as_string(hide_password=True)


def make_sessions(engine: sa.Engine, ring: Callable[[Sequence[Any]], bool] | None = None) -> Sessions:
    """A factory of sessions; objects stay readable after the commit. `ring` is told what was asked for, after it."""
    return sessionmaker(engine, expire_on_commit=False, info={"ring": ring})


@contextmanager
def transaction(sessions: Sessions) -> Iterator[Session]:
    """One writing transaction: commits at the end, rolls back on any exception, then rings what was asked for.

    Only the edges (a resource, the task frame, a command) open one; nobody below them commits.
    """
    with sessions() as session:
        session.info["rings"] = []
        with session.begin():
            yield session
        ring, rings = session.info["ring"], session.info["rings"]
    if ring is not None and rings:
        ring(rings)


@contextmanager
def driver(sessions: Sessions) -> Iterator[Any]:
    """psycopg's own connection, every statement of which is committed at once: for what a worker does hundreds of times a second.

    SQLAlchemy's way around it costs three times what the statement costs its caller. PostgreSQL only. Raises its errors as
    SQLAlchemy does.
    """
    engine: sa.Engine = sessions.kw["bind"]
    lent: PoolProxiedConnection | None = None
    connection: Any = None
    try:
        lent = engine.raw_connection()
        connection = lent.dbapi_connection
        connection.autocommit = True
        yield connection
    except engine.dialect.loaded_dbapi.Error as error:
        dead = engine.dialect.is_disconnect(error, connection, None)
        if dead and lent is not None:
            lent.invalidate(error)
        base = engine.dialect.loaded_dbapi.Error
        raise sa.exc.DBAPIError.instance(
            None, None, error, base, hide_parameters=True, connection_invalidated=dead, dialect=engine.dialect
        ) from error
    finally:
        if lent is not None:
            lent.close()


def ring(sessions: Sessions, rings: Sequence[Any]) -> None:
    """Ring without a transaction."""
    if (push := sessions.kw["info"]["ring"]) is not None:
        push(rings)


@contextmanager
def reading(sessions: Sessions) -> Iterator[Session]:
    """One reading transaction over a consistent snapshot; it never waits for a writer."""
    with sessions() as session:
        options: dict[str, Any] = {"read_only": True}
        if session.get_bind().dialect.name == "postgresql":
            options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        session.connection(execution_options=options)
        yield session
        session.expunge_all()  # what was read stays readable: a rollback would expire it
        session.rollback()


@contextmanager
def by_index(session: Session) -> Iterator[None]:
    """Have PostgreSQL find rows by their index meanwhile, whatever it believes about the tables.

    For thousands of keys it estimates that reading a whole table is quicker, all the more when it has not counted the rows since
    an import; the cost of a look-up would follow the size of the table. After an error the transaction is over anyway.
    """
    _plan_with(session, "off")
    yield
    _plan_with(session, "DEFAULT")


def _plan_with(session: Session, value: str) -> None:
    if session.get_bind().dialect.name == "postgresql":
        names = ("enable_seqscan", "enable_hashjoin", "enable_mergejoin", "jit")
        statements = "; ".join(f"SET LOCAL {name} TO {value}" for name in names)
        session.connection().connection.cursor().execute(statements)


def wait_for_locks(session: Session, seconds: float) -> None:
    """Have the statements of this transaction fail that wait longer for a row; SQLite's wait `BUSY_SECONDS` at the most."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(sa.text(f"SET LOCAL lock_timeout TO {round(seconds * 1000)}"))


class Clock(FunctionElement[dt.datetime]):
    """The database's clock when the statement began, so many seconds later: `now` without asking for it first."""

    type = UtcDateTime()
    inherit_cache = True

    def __init__(self, seconds: sa.ColumnElement[float] | None = None) -> None:
        super().__init__(*[] if seconds is None else [seconds])


@compiles(Clock)
def _timestamp(element: Clock, compiler: sa.Compiled, **options: Any) -> str:
    # Not clock_timestamp(): it moves within a statement, so that no index could be asked with it.
    if not list(element.clauses):
        return "statement_timestamp()"
    return f"(statement_timestamp() + make_interval(secs => {compiler.process(element.clauses, **options)}))"


@compiles(Clock, "sqlite")
def _text(element: Clock, compiler: sa.Compiled, **options: Any) -> str:
    clock = "strftime('%Y-%m-%d %H:%M:%f000', 'now'"  # as long as what Python's datetimes become
    if not list(element.clauses):
        return f"{clock})"
    return f"{clock}, {compiler.process(element.clauses, **options)} || ' seconds')"


def now(session: Session) -> dt.datetime:
    """The database's clock, which every lease and every `run_after` is measured by (workers' clocks differ)."""
    if session.get_bind().dialect.name == "sqlite":
        text = session.scalar(sa.select(sa.func.strftime("%Y-%m-%d %H:%M:%f", "now")))
        return dt.datetime.strptime(f"{text}+0000", "%Y-%m-%d %H:%M:%S.%f%z")
    clock = sa.func.clock_timestamp(type_=UtcDateTime())
    return session.execute(sa.select(clock)).scalar_one()


def in_lists(values: Iterable[_T]) -> Iterator[list[_T]]:
    """`values` in lists that fit one statement."""
    every = list(values)
    for start in range(0, len(every), LIST_LENGTH):
        yield every[start : start + LIST_LENGTH]
