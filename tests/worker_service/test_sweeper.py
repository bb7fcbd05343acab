import datetime as dt

import pytest
import redis
import sqlalchemy as sa

from shared import database
from shared.lifecycle import task as lifecycle
from shared.models.enrichment import EnrichmentSource, Source
from shared.models.idempotency import IdempotentAnswer
from shared.models.scan import Run, RunStatus, Scan
from shared.models.task import Task, TaskState
from shared.tasks import SYNC_EPSS, SYNC_KEV
from tests import plans
from tests.builders import add_run, add_scan, add_user, ago, ask_for, at_once, change, claim, claimed, read
from worker_service import sweeper
from worker_service.sweeper import Sweeper


@pytest.fixture
def sweep(sessions):
    """Sweep once, with so many messages waiting in every queue."""

    def sweep(waiting=0):
        Sweeper(sessions, lambda _queue: waiting).sweep()

    return sweep


def runs(sessions, scan_id):
    with database.reading(sessions) as session:
        return session.scalars(sa.select(Run).where(Run.scan_id == scan_id)).all()


def test_a_lost_lease_returns_the_task_and_rings(sessions, rung, sweep):
    task = claimed(sessions)
    rung.clear()
    sweep()
    assert read(sessions, task.id).state == TaskState.STARTED
    change(sessions, task.id, lease_until=ago(sessions, seconds=1))
    sweep(waiting=1)
    row = read(sessions, task.id)
    assert (row.state, row.losses, row.epoch) == (TaskState.PENDING, 1, task.epoch + 1)
    assert [ring.task_id for ring in rung] == [task.id]


def test_an_overdue_cancel_is_ended_over_the_workers_head(sessions, sweep):
    with database.transaction(sessions) as session:
        run = add_run(session)
    claim(sessions, run.task_id, dt.timedelta(hours=1))
    with database.transaction(sessions) as session:
        lifecycle.request_cancel(session, run.task_id)
    sweep()
    assert read(sessions, run.task_id).state == TaskState.STARTED
    change(sessions, run.task_id, cancel_requested_at=ago(sessions, seconds=21))
    sweep()
    assert read(sessions, run.task_id).state == TaskState.REVOKED
    with database.reading(sessions) as session:
        assert session.get_one(Run, run.id).status == RunStatus.CANCELLED


def test_a_task_whose_message_is_lost_is_rung_for_again_and_not_too_often(sessions, rung, sweep):
    task = ask_for(sessions)
    rung.clear()
    sweep()
    assert rung == []  # its message may be on its way
    change(sessions, task.id, rung_at=ago(sessions, seconds=6))
    sweep()
    sweep()
    assert [ring.task_id for ring in rung] == [task.id]


def test_a_delayed_task_is_rung_for_when_it_is_due(sessions, rung, sweep):
    task = ask_for(sessions, run_after=ago(sessions, hours=-1))
    sweep()
    assert rung == []
    change(sessions, task.id, run_after=ago(sessions, seconds=1))
    sweep()
    assert [ring.task_id for ring in rung] == [task.id]


def test_a_queue_with_a_message_for_every_task_is_left_alone(sessions, rung, sweep):
    for _ in range(3):
        change(sessions, ask_for(sessions).id, rung_at=ago(sessions, hours=1))
    rung.clear()
    sweep(waiting=3)
    assert rung == []


def test_a_queue_that_is_never_empty_still_gets_its_lost_message(sessions, rung, sweep):
    lost = ask_for(sessions)
    for seconds, task in enumerate([lost, ask_for(sessions), ask_for(sessions)]):
        change(sessions, task.id, rung_at=ago(sessions, seconds=60 - seconds))
    rung.clear()
    sweep(waiting=2)
    assert [ring.task_id for ring in rung] == [lost.id]


@pytest.mark.parametrize(("waiting", "again"), [(0, 3), (2, 1), (3, 0), (9, 0)])
def test_no_more_is_rung_for_than_a_queue_holds_messages(sessions, rung, sweep, monkeypatch, waiting, again):
    monkeypatch.setattr(sweeper, "ENOUGH", 3)
    for _ in range(5):
        change(sessions, ask_for(sessions).id, rung_at=ago(sessions, hours=1))
    rung.clear()
    sweep(waiting=waiting)
    assert len(rung) == again


def test_what_waits_for_a_lock_is_not_rung_for(sessions, rung, sweep):
    claimed(sessions, lock_key="mirror")
    waiting = ask_for(sessions, lock_key="mirror")
    change(sessions, waiting.id, rung_at=None)
    rung.clear()
    sweep()
    assert rung == []


def test_redis_away_stops_nothing_else(sessions):
    task = claimed(sessions)
    change(sessions, task.id, lease_until=ago(sessions, seconds=1))

    def away(_queue):
        raise redis.ConnectionError

    Sweeper(sessions, away).sweep()
    assert read(sessions, task.id).state == TaskState.PENDING


def test_redis_is_asked_with_no_transaction_open(sessions, engine):
    out = []
    Sweeper(sessions, lambda _queue: out.append(engine.pool.checkedout()) or 0).sweep()
    assert out == [0, 0, 0]


def test_many_sweepers_at_once_double_nothing(sessions, rung):
    tasks = [claimed(sessions) for _ in range(10)]
    for task in tasks:
        change(sessions, task.id, lease_until=ago(sessions, seconds=1))
    rung.clear()
    assert at_once([Sweeper(sessions, lambda _queue: 0).sweep] * 4) == [None] * 4
    assert {read(sessions, task.id).losses for task in tasks} == {1}
    assert sorted(ring.task_id for ring in rung) == sorted(task.id for task in tasks)


def test_one_row_that_cannot_be_changed_holds_up_no_other(sessions, sweep, monkeypatch):
    tasks = [claimed(sessions) for _ in range(3)]
    for task in tasks:
        change(sessions, task.id, lease_until=ago(sessions, seconds=1))
    real = lifecycle.expire

    def expire(session, task):
        real(session, task)
        if task.id == tasks[0].id:
            raise ValueError

    monkeypatch.setattr(lifecycle, "expire", expire)
    sweep()
    assert [read(sessions, task.id).state for task in tasks] == ["STARTED", "PENDING", "PENDING"]


def scheduled(sessions, due, **values):
    with database.transaction(sessions) as session:
        return add_scan(session, **{"cron": "0 3 * * *", "timezone": "UTC", "next_run_at": due, **values}).id


def test_a_due_scan_is_started_once_however_often_it_was_missed(sessions, sweep):
    scan_id = scheduled(sessions, ago(sessions, days=5))
    sweep()
    sweep()
    (run,) = runs(sessions, scan_id)
    assert run.trigger == "schedule"
    with database.reading(sessions) as session:
        scan = session.get_one(Scan, scan_id)
        assert database.now(session) < scan.next_run_at <= database.now(session) + dt.timedelta(days=1)
        assert scan.latest_run_id == run.id


def test_a_scan_that_is_not_due_is_left_alone(sessions, sweep):
    scan_id = scheduled(sessions, ago(sessions, hours=-1))
    sweep()
    assert runs(sessions, scan_id) == []


def test_a_due_scan_under_way_is_not_started_beside_itself(sessions, sweep):
    scan_id = scheduled(sessions, ago(sessions, minutes=1))
    with database.transaction(sessions) as session:
        add_run(session, session.get_one(Scan, scan_id))
    sweep()
    assert len(runs(sessions, scan_id)) == 1
    with database.reading(sessions) as session:
        assert session.get_one(Scan, scan_id).next_run_at > database.now(session)


def test_four_sweepers_start_a_due_scan_once(sessions):
    ids = [scheduled(sessions, ago(sessions, minutes=1)) for _ in range(5)]
    assert at_once([Sweeper(sessions, lambda _queue: 0).sweep] * 4) == [None] * 4
    assert [len(runs(sessions, scan_id)) for scan_id in ids] == [1] * 5


def test_a_schedule_that_cannot_be_used_holds_up_no_other(sessions, sweep):
    broken = scheduled(sessions, ago(sessions, days=2), timezone="Mars/Olympus")
    good = scheduled(sessions, ago(sessions, days=1))
    sweep()
    assert (len(runs(sessions, broken)), len(runs(sessions, good))) == (0, 1)
    with database.reading(sessions) as session:
        assert session.get_one(Scan, broken).next_run_at is None


def test_what_ended_a_day_ago_is_forgotten(sessions, sweep):
    old, young, running = claimed(sessions), claimed(sessions), claimed(sessions)
    for task, hours in ((old, 25), (young, 23)):
        change(sessions, task.id, state=TaskState.SUCCESS, ended_at=ago(sessions, hours=hours))
    with database.transaction(sessions) as session:
        user_id = add_user(session).id
        for key, hours in (("old", 25), ("young", 23)):
            created_at = database.now(session) - dt.timedelta(hours=hours)
            values = {"fingerprint": "f", "status": 202, "body": {}, "created_at": created_at}
            session.add(IdempotentAnswer(user_id=user_id, key=key, **values))
    sweep()
    with database.reading(sessions) as session:
        assert set(session.scalars(sa.select(Task.id))) == {young.id, running.id}
        assert session.scalars(sa.select(IdempotentAnswer.key)).all() == ["young"]


def test_no_more_rows_at_a_time_than_a_batch(sessions, monkeypatch, sweep):
    monkeypatch.setattr(sweeper, "BATCH", 2)
    tasks = [claimed(sessions) for _ in range(3)]
    for task in tasks:
        change(sessions, task.id, lease_until=ago(sessions, seconds=1))
    sweep()
    assert sorted(read(sessions, task.id).losses for task in tasks) == [0, 1, 1]
    sweep()
    assert [read(sessions, task.id).losses for task in tasks] == [1, 1, 1]


def test_a_source_that_was_never_read_is_asked_for_once(sessions, rung):
    sweeper = Sweeper(sessions, lambda _queue: 9, sources=tuple(Source))
    sweeper.sweep()
    sweeper.sweep()
    with database.reading(sessions) as session:
        asked = session.scalars(sa.select(Task)).all()
    assert sorted(task.name for task in asked) == [SYNC_EPSS, SYNC_KEV]
    assert {ring.task_id for ring in rung} == {task.id for task in asked}
    now = ago(sessions)
    for task in asked:
        change(sessions, task.id, state=TaskState.FAILURE, ended_at=now)
    with database.transaction(sessions) as session:
        tried = EnrichmentSource(name=Source.KEV, url="", last_attempt_at=now, last_error="It is away.")
        session.add(tried)
    sweeper.sweep()
    with database.reading(sessions) as session:
        waiting = session.scalars(sa.select(Task.name).where(Task.ended_at.is_(None))).all()
    assert waiting == [SYNC_EPSS]


def test_a_source_that_is_switched_off_is_not_asked_for(sessions, sweep):
    sweep()
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(Task)).all() == []


def counted(engine):
    """How many tasks PostgreSQL believes there are; -1 when it never counted."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(
            "SELECT reltuples FROM pg_class WHERE oid = 'task'::regclass"
        ).scalar()


def count_if_grown(sessions):
    with database.transaction(sessions) as session:
        return sweeper.count_if_grown(session)


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_table_that_grew_is_counted_once(engine, sessions, sweep):
    ask_for(sessions)
    assert count_if_grown(sessions) == 0  # never counted, but small
    plans.fill(engine, count=False)
    assert counted(engine) == -1
    sweep()
    assert counted(engine) > 4000
    assert count_if_grown(sessions) == 0
    plans.fill(engine, count=False)
    assert count_if_grown(sessions) == 0  # not several times as long
    for _ in range(3):
        plans.fill(engine, count=False)
    assert count_if_grown(sessions) == 1
    assert count_if_grown(sessions) == 0


@pytest.mark.parametrize("engine", ["postgresql"], indirect=True)
def test_a_table_that_somebody_counts_already_is_left_to_them(engine, sessions):
    plans.fill(engine, count=False)
    with engine.begin() as connection:
        connection.exec_driver_sql("LOCK TABLE task IN SHARE UPDATE EXCLUSIVE MODE")
        assert count_if_grown(sessions) == 0
    assert count_if_grown(sessions) == 1


def test_sqlite_is_not_asked_to_count(sqlite_engine):
    assert count_if_grown(database.make_sessions(sqlite_engine)) == 0
