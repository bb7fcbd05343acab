import contextlib
import datetime as dt
import threading

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError, StatementError

from shared import database
from shared.models.mirror import SnapshotCounter
from shared.models.task import Task
from tests.builders import ago, ask_for, at_once, change, read

NOON = dt.datetime(2026, 7, 1, 12, 0, 0, 123456, tzinfo=dt.UTC)


def test_times_come_back_in_utc(sessions):
    task = ask_for(sessions)
    change(sessions, task.id, run_after=NOON.astimezone(dt.timezone(dt.timedelta(hours=5, minutes=45))))
    with database.reading(sessions) as session:
        found = session.scalars(sa.select(Task.run_after).where(Task.run_after == NOON)).one()
    assert (found, found.tzinfo) == (NOON, dt.UTC)


def test_a_naive_time_is_refused(sessions):
    task = ask_for(sessions)
    with pytest.raises(StatementError, match="naive"):
        change(sessions, task.id, run_after=NOON.replace(tzinfo=None))


def test_the_databases_clock_moves_within_a_transaction(sessions):
    with database.transaction(sessions) as session:
        first = database.now(session)
        while database.now(session) == first:
            pass
        assert database.now(session) > first
        assert first.tzinfo == dt.UTC
    assert abs(first - dt.datetime.now(dt.UTC)) < dt.timedelta(seconds=10)


def test_a_reading_transaction_is_one_snapshot(sessions):
    task = ask_for(sessions)
    with database.reading(sessions) as session:
        query = sa.select(Task.priority).where(Task.id == task.id)
        before = session.scalar(query)
        change(sessions, task.id, priority=1)
        assert session.scalar(query) == before
    assert read(sessions, task.id).priority == 1


def test_a_reader_does_not_wait_for_a_writer(sessions):
    task = ask_for(sessions)
    with database.transaction(sessions) as session:
        session.execute(sa.update(Task).values(priority=1))
        assert read(sessions, task.id).priority == 90


def test_a_reading_transaction_leaves_its_connection_as_it_was(sessions):
    task = ask_for(sessions)
    for _ in range(3):
        assert read(sessions, task.id).id == task.id
        change(sessions, task.id, priority=2)


def test_nothing_is_written_in_a_reading_transaction(sessions, engine):
    ask_for(sessions)

    def write():
        with database.reading(sessions) as session:
            session.execute(sa.update(Task).values(priority=1))

    if engine.dialect.name == "postgresql":
        with pytest.raises(DBAPIError):
            write()
    else:
        write()  # SQLite lets it pass, and the end of the transaction undoes it
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Task.priority)).one() == 90


def test_writers_that_read_first_lose_nothing(sessions):
    task = ask_for(sessions)
    change(sessions, task.id, priority=0)

    def add():
        for _ in range(10):
            with database.transaction(sessions) as session:
                row = session.get_one(Task, task.id, with_for_update=True)
                row.priority += 1

    assert at_once([add] * 4) == [None] * 4
    assert read(sessions, task.id).priority == 40


def test_a_connection_survives_a_writer_that_waited_in_vain(sqlite_engine, monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    impatient = database.make_engine(sqlite_engine.url)
    sessions = database.make_sessions(impatient)
    with database.transaction(database.make_sessions(sqlite_engine)) as session:
        session.execute(sa.update(Task).values(priority=1))
        with pytest.raises(OperationalError, match="locked"):
            ask_for(sessions)
    task = ask_for(sessions)
    assert read(sessions, task.id).id == task.id
    assert impatient.pool.checkedout() == 0
    impatient.dispose()


def test_connections_are_never_waited_for(sessions):
    gate = threading.Barrier(40)

    def read_together():
        with database.reading(sessions) as session:
            gate.wait(20)
            return session.scalar(sa.select(1))

    assert at_once([read_together] * 40) == [1] * 40


def test_postgres_ends_a_transaction_that_does_nothing(postgres_engine):
    with postgres_engine.connect() as connection:
        assert connection.scalar(sa.text("SHOW idle_in_transaction_session_timeout")) == "1min"


def test_foreign_keys_hold_on_sqlite(sqlite_engine):
    with sqlite_engine.connect() as connection:
        assert connection.scalar(sa.text("PRAGMA foreign_keys")) == 1
        assert connection.scalar(sa.text("PRAGMA journal_mode")) == "wal"


def test_a_description_shows_no_password():
    assert (
        database.describe("postgresql+psycopg://ada:secret@db/vedette")
        == "postgresql+psycopg://ada:***@db/vedette"
    )


def test_the_ring_comes_after_the_connection_is_free(engine):
    checked_out = []
    sessions = database.make_sessions(
        engine, lambda _rings: checked_out.append(engine.pool.checkedout()) is None
    )
    ask_for(sessions)
    assert checked_out == [0]
    assert ago(sessions) is not None


@pytest.mark.parametrize("seconds", [0.0, 15.0, 0.25, -90.5])
def test_the_clock_of_a_statement_is_the_databases(sessions, seconds):
    task = ask_for(sessions)
    clock = database.Clock(sa.literal(seconds, sa.Float())) if seconds else database.Clock()
    with database.transaction(sessions) as session:
        before = database.now(session)
        session.execute(sa.update(Task).values(run_after=clock))
        after = database.now(session)
    written = read(sessions, task.id).run_after - dt.timedelta(seconds=seconds)
    assert before - dt.timedelta(milliseconds=1) <= written <= after  # SQLite's has milliseconds


def test_the_clock_of_a_statement_compares_with_what_python_wrote(sessions):
    with database.transaction(sessions) as session:
        now = database.now(session)
    for second in range(-2, 3):
        ask_for(sessions, run_after=now + dt.timedelta(seconds=60 * second, microseconds=1))
    with database.reading(sessions) as session:
        due = session.scalars(sa.select(Task.run_after).where(Task.run_after <= database.Clock())).all()
        assert len(due) in (2, 3)  # what was due a moment ago is, unless the clock stood still
        assert all(each <= database.now(session) for each in due)


def test_a_connection_that_rested_proves_that_it_lives(postgres_url, monkeypatch):
    engine = database.make_engine(postgres_url)
    admin = sa.create_engine(postgres_url, isolation_level="AUTOCOMMIT")

    def cut() -> None:
        with engine.connect() as connection:
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
        with admin.connect() as connection:
            connection.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})

    def ask() -> int | None:
        with engine.connect() as connection:
            return connection.scalar(sa.text("SELECT 1"))

    monkeypatch.setattr(database, "REST_SECONDS", 0.0)
    cut()
    assert ask() == 1
    monkeypatch.setattr(database, "REST_SECONDS", 600.0)  # used just now: believed, and told apart once
    cut()
    with pytest.raises(OperationalError):
        ask()
    assert ask() == 1
    engine.dispose()
    admin.dispose()


POSTGRESQL = pytest.mark.parametrize("engine", ["postgresql"], indirect=True)


@POSTGRESQL
def test_what_the_driver_executes_is_committed_at_once(sessions):
    with contextlib.suppress(RuntimeError), database.driver(sessions) as driver:
        driver.execute("INSERT INTO snapshot_counter (id, number, followed) VALUES (1, 7, 0)")
        raise RuntimeError("too late")
    with database.reading(sessions) as session:
        assert session.get(SnapshotCounter, 1).number == 7


@POSTGRESQL
def test_a_connection_that_was_with_the_driver_begins_transactions_again(engine, sessions):
    engine.dispose()  # so that there is but one
    with database.driver(sessions) as driver:
        lent = driver.info.backend_pid
    with contextlib.suppress(RuntimeError), database.transaction(sessions) as session:
        assert session.scalar(sa.func.pg_backend_pid()) == lent
        session.add(SnapshotCounter(id=1, number=7))
        session.flush()
        raise RuntimeError("undo")
    with database.reading(sessions) as session:
        assert session.get(SnapshotCounter, 1) is None


@POSTGRESQL
def test_errors_of_the_driver_are_those_of_sqlalchemy(sessions):
    with pytest.raises(ProgrammingError), database.driver(sessions) as driver:
        driver.execute("SELECT nothing FROM nowhere")
    with database.driver(sessions) as driver:
        assert driver.execute("SELECT 1").fetchone() == (1,)


def test_a_server_that_is_not_there_is_an_error_of_sqlalchemy(tmp_path):
    away = database.make_sessions(database.make_engine(f"postgresql+psycopg:///none?host={tmp_path}"))
    with pytest.raises(OperationalError), database.driver(away):
        pass


@POSTGRESQL
def test_a_connection_that_dies_with_the_driver_is_not_used_again(sessions):
    with pytest.raises(OperationalError) as caught, database.driver(sessions) as driver:
        driver.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert caught.value.connection_invalidated
    with database.driver(sessions) as driver:
        assert driver.execute("SELECT 1").fetchone() == (1,)
