"""The frame around every actor: claim the row, keep the lease, run the handler, commit its effect with the task's end.

A handler is a plain function `handler(work, **arguments) -> Effect`. It reads and computes with no transaction open, asks
`work.raise_if_cancelled()` at its checkpoints, and gives back a function that writes: the frame runs that in one
transaction together with the task's end, and only if the lease is still held under the same epoch.
"""

import datetime as dt
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field

import structlog
from dramatiq import Retry
from sqlalchemy.orm import Session

from shared import database
from shared.database import Sessions
from shared.errors import Cancelled, LeaseLost, Permanent, Stopping, Transient, VedetteError
from shared.lifecycle import task as lifecycle
from shared.lifecycle.turn import Claimant, Claimed, Ended, Taken
from shared.models.base import Document
from shared.models.task import Task
from shared.settings import Settings
from shared.tasks import Ring
from worker_service import isolation, metrics, presence
from worker_service.leases import Lease, Leases
from worker_service.turns import Turns

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Done:
    """What a handler gives back that has nothing to write but the task's result."""

    result: Document | None = None


Effect = Callable[[Session], Document | None] | Done
"""Writes a handler's result in the task's last transaction; what it gives back becomes the task's result."""

REPORT_SECONDS = 0.25
"""Progress within one stage is written no more often than this."""
SLICE = 0.25
"""Seconds after which a wait looks whether the task was cancelled."""

STAY_SECONDS = 0.5
"""So long a thread that answered a doorbell goes on with the same queue: others have their turn then."""


@dataclass(eq=False)
class Work:
    """A claimed task in the hands of its handler."""

    task_id: uuid.UUID
    epoch: int
    sessions: Sessions
    settings: Settings
    _interrupt: VedetteError | None = None
    _reported: tuple[str, float] = ("", 0.0)

    def progress(self, stage: str, current: int, total: int | None = None) -> None:
        """Say how far the work is; a new stage or its last step is always written, the rest a few times a second."""
        stage_before, at = self._reported
        due = stage != stage_before or current == total or time.monotonic() - at >= REPORT_SECONDS
        self.raise_if_cancelled()
        if not due:
            return
        with database.transaction(self.sessions) as session:
            if not lifecycle.report(session, self.task_id, self.epoch, stage, current, total):
                raise LeaseLost(f"task {self.task_id} is no longer held under epoch {self.epoch}")
        self._reported = (stage, time.monotonic())

    def raise_if_cancelled(self) -> None:
        """A checkpoint, cheap enough for inner loops. Raises Cancelled, Stopping, LeaseLost, or Transient when time is up."""
        if self._interrupt is not None:
            raise self._interrupt

    def pause(self, seconds: float, step: float = SLICE) -> None:
        """Wait, looking every `step` seconds whether to go on. Raises as `raise_if_cancelled` does."""
        until = time.monotonic() + seconds
        while True:
            self.raise_if_cancelled()
            left = until - time.monotonic()
            if left <= 0:
                return
            time.sleep(min(left, step))

    def interrupt(self, reason: VedetteError) -> None:
        """Make the next checkpoint raise `reason`; the first one counts, unless the lease is lost after it."""
        if self._interrupt is None or isinstance(reason, LeaseLost):
            self._interrupt = reason

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """A writing transaction for a checkpoint: it commits only while the lease is held. Raises as `guard` does."""
        lease = dt.timedelta(seconds=self.settings.lease_seconds)
        with database.transaction(self.sessions) as session:
            lifecycle.guard(session, self.task_id, self.epoch)
            yield session
            # Who keeps the leases passes over a row that is held, and this one may be held most of the time.
            lifecycle.renew(session, [(self.task_id, self.epoch)], lease)

    def reading(self) -> AbstractContextManager[Session]:
        """A reading transaction."""
        return database.reading(self.sessions)


@dataclass(frozen=True)
class Door:
    """What answers one contract entry, and for how long (seconds) one attempt may go on."""

    contract: str
    handler: Callable[..., Effect]
    time_limit: float


@dataclass
class Stay:
    """A thread's time with one queue."""

    queue: str
    until: float
    taken: Taken | None = None
    """What was found for it when the task before was ended."""


@dataclass(frozen=True, eq=False)
class Frame:
    """What every actor of this process shares: where the rows are, how it is set, and what it can do."""

    sessions: Sessions
    settings: Settings
    doors: dict[str, Door] = field(default_factory=dict)
    """By contract; what has no door here is left to another worker."""
    _turns: Turns = field(init=False)
    _leases: Leases = field(init=False)
    _works: set[Work] = field(default_factory=set)
    """What this process works on now."""
    _stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_leases", Leases(self.sessions, self.settings.lease_seconds))
        claimant = Claimant(presence.name(os.getpid()), self._lease)
        object.__setattr__(self, "_turns", Turns(self.sessions, claimant, self.doors))

    def answer(self, queue: str) -> None:
        """Answer a doorbell of `queue`: see the task through whose turn it is, then the next, until none is due or time is up.

        The most urgent one comes first, among equals the one that has been due the longest; now and then the
        one that has been due the longest of all, so that nothing waits for ever. Raises as `run` does.
        """
        stay = Stay(queue, time.monotonic() + STAY_SECONDS)
        task = self._turns.take(queue)
        if task is None:
            log.info("nothing_due", queue=queue)
        while task is not None:
            try:
                self._work_on(task, stay)
            except Retry:
                self._ring_for_the_rest(task)
                raise
            task = self._after(task, stay)

    def resume(self, task_id: uuid.UUID, epoch: int) -> None:
        """See a task through that the worker claimed which started this process for it. Raises as `run` does."""
        with database.reading(self.sessions) as session:
            task = session.get(Task, task_id)
        if task is None or task.epoch != epoch:
            log.warning("task_lease_lost", task_id=str(task_id))
            return
        door = self.doors[task.name]
        isolation.end_when_overdue(door.time_limit)
        self._see_through(Claimed.of(task), door.handler, door.time_limit)

    def run(self, task_id: str, handler: Callable[..., Effect], limit: float = float("inf")) -> None:
        """Claim this one task, if it is there to claim, and see it to a named end of this attempt.

        `limit` is in seconds. Raises dramatiq's Retry after an attempt that is worth repeating, so that Dramatiq rings
        again when it is due.
        """
        with database.transaction(self.sessions) as session:
            task = lifecycle.claim(session, uuid.UUID(task_id), presence.name(os.getpid()), self._lease)
        if task is None:
            log.info("task_not_claimed", task_id=task_id)
            return
        self._see_through(Claimed.of(task), handler, limit)

    def stop(self) -> None:
        """Let every task stop at its next checkpoint and go back to the queue."""
        self._stopping.set()
        for work in tuple(self._works):
            work.interrupt(Stopping())

    def abandon(self) -> None:
        """Hand back what did not come to a checkpoint in time; whoever still works on it can commit nothing."""
        for work in tuple(self._works):
            self._hand_back(work)
            log.warning("task_abandoned", task_id=str(work.task_id))

    @property
    def _lease(self) -> dt.timedelta:
        return dt.timedelta(seconds=self.settings.lease_seconds)

    def _stays(self, stay: Stay) -> bool:
        return time.monotonic() < stay.until and not self._stopping.is_set()

    def _after(self, task: Claimed, stay: Stay) -> Claimed | None:
        """What to go on with; when nothing, because time is up, somebody else is rung for."""
        taken, stay.taken = stay.taken, None
        if taken is not None and (taken.task is not None or not taken.more):
            return taken.task
        if self._stays(stay):
            return self._turns.take(stay.queue)
        self._ring_for_the_rest(task)
        return None

    def _ring_for_the_rest(self, last: Claimed) -> None:
        """Have somebody else look at the queue, which may hold more tasks than messages."""
        for_no_task = uuid.uuid4()  # two messages of one id would count as one where they are worked on
        database.ring(self.sessions, [Ring(for_no_task, last.name, last.queue)])

    def _work_on(self, task: Claimed, stay: Stay) -> None:
        door = self.doors[task.name]
        if task.crashes >= lifecycle.SUSPECT_CRASHES:
            self._see_through_alone(task)
        else:
            self._see_through(task, door.handler, door.time_limit, stay)

    def _see_through(
        self, task: Claimed, handler: Callable[..., Effect], limit: float, stay: Stay | None = None
    ) -> None:
        began, outcome = time.monotonic(), "retried"
        with self._in_work(task) as work:

            def perform() -> None:
                with self._held(work, limit):
                    self._commit(task, handler(work, **task.arguments), stay)

            try:
                log.info("task_started", attempt=task.attempt)
                outcome = self._attempt(work, perform)
            finally:
                metrics.observe(task.queue, task.name, outcome, time.monotonic() - began)

    def _see_through_alone(self, task: Claimed) -> None:
        """See a suspect through in a process of its own: what that dies of is its own doing, and harms nothing else."""
        with self._in_work(task) as work:
            log.info("suspect_isolated", attempt=task.attempt, crashes=task.crashes)
            try:
                died = isolation.see_through(work, self._held(work), self.settings.lease_seconds / 2)
            except Stopping:
                self._hand_back(work)
                return
            except isolation.NotBegun as error:
                pause = isolation.PAUSE_SECONDS
                self._settle(lambda s: lifecycle.hand_back(s, work.task_id, work.epoch, pause))
                log.warning("suspect_not_begun", error=str(error))
                return
            if died is not None:
                self._settle(lambda s: lifecycle.crash(s, work.task_id, work.epoch, died))
                log.warning("suspect_crashed", how=died)
                metrics.observe(task.queue, task.name, "crashed", 0.0)

    @contextmanager
    def _in_work(self, task: Claimed) -> Iterator[Work]:
        """The task's work, which is told when this process has to stop."""
        work = Work(task.id, task.epoch, self.sessions, self.settings)
        self._works.add(work)
        if self._stopping.is_set():
            work.interrupt(Stopping())
        try:
            with structlog.contextvars.bound_contextvars(**_traces(task)):
                yield work
        finally:
            self._works.discard(work)

    def _held(self, work: Work, limit: float = float("inf")) -> AbstractContextManager[None]:
        """Keeps the lease of what is worked on, which is to stop after `limit` seconds."""
        return self._leases.held(Lease(work.task_id, work.epoch, limit, work.interrupt))

    def _attempt(self, work: Work, perform: Callable[[], None]) -> str:
        """One attempt, and in a word how it ended."""
        try:
            perform()
            log.info("task_succeeded")
            return "succeeded"
        except Cancelled:
            self._settle(lambda s: lifecycle.fail(s, work.task_id, work.epoch, "cancelled"))
            log.info("task_cancelled")
            return "cancelled"
        except LeaseLost as error:
            log.warning("task_lease_lost", error=str(error))
            return "lease_lost"
        except Permanent as error:
            detail = error.detail
            self._settle(lambda s: lifecycle.fail(s, work.task_id, work.epoch, detail))
            log.warning("task_failed", error=detail)
            return "failed"
        except Stopping:
            self._hand_back(work)
            log.info("task_handed_back")
            return "handed_back"
        except BaseException as error:  # SystemExit and dramatiq's TimeLimitExceeded are ends too
            return self._retry(work, error)

    def _commit(self, task: Claimed, effect: Effect, stay: Stay | None) -> None:
        goes_on = self._turns.in_one_statement and not lifecycle.is_followed(task)
        if stay is not None and self._stays(stay) and goes_on:
            stay.taken = self._end_and_take(task, effect, stay.queue)
            return
        with database.transaction(self.sessions) as session:
            held = lifecycle.guard(session, task.id, task.epoch)
            result = effect.result if isinstance(effect, Done) else effect(session)
            lifecycle.succeed(session, held, result)

    def _end_and_take(self, task: Claimed, effect: Effect, queue: str) -> Taken:
        """Commit the effect of a task on which nothing hangs with its end, and take the next one of the queue with that."""
        if not isinstance(effect, Done):
            with database.transaction(self.sessions) as session:
                lifecycle.guard(session, task.id, task.epoch)
                ended = Ended(task.id, task.epoch, effect(session))
                return self._turns.end_and_take(ended, queue, session)
        taken = self._turns.end_and_take(Ended(task.id, task.epoch, effect.result), queue)
        if not taken.ended:
            self._settle(lambda session: lifecycle.guard(session, task.id, task.epoch))  # says why
            raise LeaseLost(f"task {task.id} could not be ended under epoch {task.epoch}")
        return taken

    def _hand_back(self, work: Work) -> None:
        self._settle(lambda s: lifecycle.hand_back(s, work.task_id, work.epoch))

    def _settle(self, transition: Callable[[Session], object]) -> None:
        with database.transaction(self.sessions) as session:
            transition(session)

    def _retry(self, work: Work, error: BaseException) -> str:
        """Put the task off; "retried", "failed" when it is given up. Raises Retry while its message can wait for it."""
        expected = isinstance(error, Transient)
        text = error.detail if isinstance(error, Transient) else f"{type(error).__name__}: {error}"
        delay = error.delay if isinstance(error, Transient) else None
        with database.transaction(self.sessions) as session:
            seconds = lifecycle.retry(session, work.task_id, work.epoch, text, delay)
        log.warning("task_attempt_failed", error=text, retry_in=seconds, exc_info=not expected)
        if seconds is not None and seconds <= lifecycle.MAX_BACKOFF_SECONDS:  # it waits in a worker's memory
            raise Retry(text, delay=int(seconds * 1000)) from None
        return "failed" if seconds is None else "retried"


def _traces(task: Claimed) -> dict[str, object]:
    """What every log line about a task says, so that a request can be followed through both services."""
    traces = {
        "task_id": str(task.id),
        "task": task.name,
        "epoch": task.epoch,
        "request_id": task.request_id,
        "run_id": task.arguments.get("run_id"),
    }
    return {name: value for name, value in traces.items() if value is not None}
