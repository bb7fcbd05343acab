"""The life cycle of tasks against a small model, on SQLite: any order of transitions, by holders of any epoch."""

import datetime as dt
import shutil
from dataclasses import dataclass, field

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from shared import database
from shared.errors import Cancelled, Conflict, LeaseLost
from shared.lifecycle import task as lifecycle
from shared.models.task import ACTIVE, ENDED, WAITING, Task, TaskState
from tests.builders import LEASE, ask_for, change, read

LONG_AGO = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)


@dataclass
class Model:
    """What must be true of one task."""

    lock: str | None
    state: TaskState = TaskState.PENDING
    attempt: int = 0
    losses: int = 0
    crashes: int = 0
    cancelled: bool = False
    holder: int | None = None
    """The epoch that may write."""
    effects: list[int] = field(default_factory=list)


class Tasks(RuleBasedStateMachine):
    """Workers that claim, write and end tasks, also long after these were taken away; sweepers; people who cancel."""

    tasks = Bundle("tasks")
    claims = Bundle("claims")
    engine = None

    @initialize()
    def begin(self):
        with self.engine.begin() as connection:
            connection.execute(Task.__table__.delete())
        self.sessions = database.make_sessions(self.engine)
        self.models: dict = {}

    def do(self, transition, *arguments):
        with database.transaction(self.sessions) as session:
            return transition(session, *arguments)

    def end(self, model, state):
        model.state, model.holder = state, None

    @rule(target=tasks, lock=st.sampled_from([None, "asset:1"]))
    def ask(self, lock):
        task = ask_for(self.sessions, lock_key=lock)
        self.models[task.id] = Model(lock)
        return task.id

    @rule(target=claims, task_id=tasks)
    def claim(self, task_id):
        model = self.models[task_id]
        change(self.sessions, task_id, run_after=LONG_AGO)
        task = self.do(lifecycle.claim, task_id, "w", LEASE)
        locked = model.lock and any(
            other.lock == model.lock and other.state in ACTIVE for other in self.models.values()
        )
        assert (task is not None) == (model.state in WAITING and not locked)
        if task is None:
            return multiple()
        model.state, model.attempt, model.holder = TaskState.STARTED, model.attempt + 1, task.epoch
        return task_id, task.epoch

    @rule(claim=claims)
    def report(self, claim):
        model = self.models[claim[0]]
        done = self.do(lifecycle.report, *claim, "stage", 1, 2)
        assert done == (model.holder == claim[1])
        if done:
            model.state = TaskState.PROGRESS

    @rule(claim=claims)
    def succeed(self, claim):
        model = self.models[claim[0]]

        def commit(session):
            lifecycle.succeed(session, lifecycle.guard(session, *claim), {"epoch": claim[1]})

        try:
            self.do(commit)
        except LeaseLost:
            assert model.holder != claim[1]
        except Cancelled:
            assert model.holder == claim[1]
            assert model.cancelled
        else:
            assert model.holder == claim[1]
            assert not model.cancelled
            model.effects.append(claim[1])
            self.end(model, TaskState.SUCCESS)

    @rule(claim=claims)
    def fail(self, claim):
        model = self.models[claim[0]]
        assert self.do(lifecycle.fail, *claim, "no") == (model.holder == claim[1])
        if model.holder == claim[1]:
            self.end(model, TaskState.REVOKED if model.cancelled else TaskState.FAILURE)

    @rule(claim=claims)
    def retry(self, claim):
        model = self.models[claim[0]]
        seconds = self.do(lifecycle.retry, *claim, "busy")
        if model.holder != claim[1]:
            assert seconds is None
        elif model.cancelled:
            self.end(model, TaskState.REVOKED)
        elif model.attempt - model.losses >= 4:
            self.end(model, TaskState.FAILURE)
        else:
            assert seconds > 0
            self.end(model, TaskState.RETRY)

    @rule(claim=claims)
    def hand_back(self, claim):
        model = self.models[claim[0]]
        assert self.do(lifecycle.hand_back, *claim) == (model.holder == claim[1])
        if model.holder == claim[1]:
            model.attempt -= not model.cancelled
            self.end(model, TaskState.REVOKED if model.cancelled else TaskState.PENDING)

    @rule(task_id=tasks)
    def expire(self, task_id):
        model = self.models[task_id]
        if model.state not in ACTIVE:
            return
        self.do(lambda session: lifecycle.expire(session, session.get_one(Task, task_id)))
        self.lost(model)

    @rule(claim=claims)
    def crash(self, claim):
        model = self.models[claim[0]]
        assert self.do(lifecycle.crash, *claim, "was killed") == (model.holder == claim[1])
        if model.holder == claim[1]:
            self.lost(model, crashes=1)

    @rule()
    def reap(self):
        held = {task_id: model for task_id, model in self.models.items() if model.state in ACTIVE}
        assert {task.id for task in self.do(lifecycle.reap, "w")} == set(held)
        for model in held.values():
            self.lost(model, crashes=model.crashes < 2)

    def lost(self, model, crashes=0):
        model.losses += 1
        model.crashes += crashes
        if model.cancelled:
            self.end(model, TaskState.REVOKED)
        else:
            poison = model.crashes >= 3 or model.losses >= 10
            self.end(model, TaskState.FAILURE if poison else TaskState.PENDING)

    @rule(task_id=tasks)
    def cancel(self, task_id):
        model = self.models[task_id]
        try:
            self.do(lifecycle.request_cancel, task_id)
        except Conflict:
            assert model.state in ENDED
            return
        assert model.state not in ENDED
        model.cancelled = True
        if model.state in WAITING:
            self.end(model, TaskState.REVOKED)

    @rule(task_id=tasks)
    def requeue(self, task_id):
        model = self.models[task_id]
        try:
            self.do(lifecycle.requeue, task_id)
        except Conflict:
            assert model.state != TaskState.FAILURE
            return
        assert model.state == TaskState.FAILURE
        model.state, model.attempt, model.cancelled = TaskState.PENDING, 0, False
        model.losses = model.crashes = 0

    @invariant()
    def rows_are_as_the_model_says(self):
        for task_id, model in getattr(self, "models", {}).items():
            row = read(self.sessions, task_id)
            assert (row.state, row.attempt) == (model.state, model.attempt)
            assert (row.losses, row.crashes) == (model.losses, model.crashes)
            assert (row.ended_at is not None) == (model.state in ENDED)
            assert (row.lease_until is not None) == (model.state in ACTIVE)
            assert len(model.effects) <= 1
            assert (row.state == TaskState.SUCCESS) == (len(model.effects) == 1)


def test_any_order_of_transitions(sqlite_template, tmp_path):
    path = tmp_path / "stateful.sqlite3"
    shutil.copyfile(sqlite_template, path)
    Tasks.engine = database.make_engine(f"sqlite:///{path}")
    steps = settings(
        max_examples=30,
        stateful_step_count=30,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        derandomize=True,
        database=None,
    )
    run_state_machine_as_test(Tasks, settings=steps)
    Tasks.engine.dispose()
