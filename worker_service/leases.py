"""The leases of this process: one thread keeps all of them alive and notices cancels, while anything is worked on."""

import datetime as dt
import math
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog
from sqlalchemy.exc import SQLAlchemyError

from shared import database
from shared.database import Sessions
from shared.errors import Cancelled, LeaseLost, Transient, VedetteError
from shared.lifecycle import task as lifecycle

log = structlog.get_logger(__name__)

POLL_SECONDS = 0.5
"""How soon a worker notices a cancel."""


@dataclass(eq=False)
class Lease:
    """The hold on one claimed task."""

    task_id: uuid.UUID
    epoch: int
    limit: float
    """Seconds after which its task is to stop."""
    interrupt: Callable[[VedetteError], None]
    """Makes the task's next checkpoint raise."""
    begun: float = field(default_factory=time.monotonic)
    renewed: float = field(default_factory=time.monotonic)
    told: float = math.inf
    """When its task was told that its time is up."""


@dataclass(eq=False)
class Leases:
    """Watches over what this process holds. Outlives a database that is away for a moment.

    A task that does not stop when it was cancelled loses its lease: it may hang. One that does not stop within the length of a
    lease when its time is up is taken away, as from a process that crashed.
    """

    sessions: Sessions
    lease_seconds: float
    _held: set[Lease] = field(default_factory=set)
    _mutex: threading.Lock = field(default_factory=threading.Lock)
    _watched: bool = False
    """Whether the thread runs: while anything is held, and a moment longer."""

    @contextmanager
    def held(self, lease: Lease) -> Iterator[None]:
        """Watch over `lease` while the block lasts."""
        with self._mutex:
            if not self._watched:
                threading.Thread(target=self._watch, name="leases", daemon=True).start()
                self._watched = True
            self._held.add(lease)  # last: where no thread can be started nothing is held
        try:
            yield
        finally:
            self._drop(lease)

    def _drop(self, lease: Lease) -> None:
        with self._mutex:
            self._held.discard(lease)

    def _watch(self) -> None:
        poll = min(POLL_SECONDS, self.lease_seconds / 6)
        while True:
            time.sleep(poll)
            with self._mutex:
                held = tuple(self._held)
                if not held:
                    self._watched = False
                    return
            try:
                self._stop_overdue(held)
                self._renew(held)
                self._look(held)
                self._take_away_overdue(held)  # last: what fails here costs no other lease
            except Exception as error:  # whatever it was, the leases need their thread
                unexpected = not isinstance(error, SQLAlchemyError)
                log.warning("leases_not_renewed", tasks=len(held), error=str(error), exc_info=unexpected)

    def _stop_overdue(self, held: Sequence[Lease]) -> None:
        now = time.monotonic()
        for lease in held:
            if now - lease.begun >= lease.limit and lease.told == math.inf:
                lease.told = now
                lease.interrupt(Transient(f"took longer than {lease.limit:.0f} s"))

    def _take_away_overdue(self, held: Sequence[Lease]) -> None:
        now = time.monotonic()
        for lease in held:
            if now - lease.told >= self.lease_seconds and lease in self._held and self._crash(lease):
                log.warning("task_taken_away", task_id=str(lease.task_id), limit=lease.limit)
                self._let_go(lease, LeaseLost(f"task {lease.task_id} did not stop when its time was up"))

    def _crash(self, lease: Lease) -> bool:
        how = "did not stop when its time was up"
        with database.transaction(self.sessions) as session:
            # Who commits now holds the row: no other lease may wait for that.
            return lifecycle.crash(session, lease.task_id, lease.epoch, how, wait=False)

    def _renew(self, held: Sequence[Lease]) -> None:
        now = time.monotonic()
        due = {lease.task_id: lease for lease in held if now - lease.renewed >= self.lease_seconds / 3}
        if not due:
            return
        holds = [(lease.task_id, lease.epoch) for lease in due.values() if lease in self._held]
        with database.transaction(self.sessions) as session:
            renewed = lifecycle.renew(session, holds, dt.timedelta(seconds=self.lease_seconds))
        for task_id in renewed:
            due[task_id].renewed = now

    def _look(self, held: Sequence[Lease]) -> None:
        with database.reading(self.sessions) as session:
            standing = lifecycle.look(session, [lease.task_id for lease in held])
        for lease in held:
            row = standing.get(lease.task_id)
            if row is None or row.epoch != lease.epoch:
                self._let_go(lease, LeaseLost(f"the lease of task {lease.task_id} was taken away"))
            elif row.cancel_requested_at is not None:
                self._let_go(lease, Cancelled(f"task {lease.task_id} was asked to stop"))

    def _let_go(self, lease: Lease, reason: VedetteError) -> None:
        lease.interrupt(reason)
        self._drop(lease)
