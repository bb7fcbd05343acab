"""How a worker comes to its tasks: it takes those whose turn it is, as a rule the next one with the end of another."""

import itertools
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from sqlalchemy.orm import Session

from shared import database
from shared.database import Sessions
from shared.errors import Conflict
from shared.lifecycle import turn as lifecycle
from shared.lifecycle.turn import Claimant, Claimed, Ended, Taken, Turn
from shared.tasks import QUEUES

FAIR_TURN = 8
"""Of so many claims in a queue one takes the task that has been due the longest, however little it matters."""
CLAIM_LOOKS = 5
"""How often a claim looks again when somebody took the lock of the task it found."""


@dataclass(frozen=True)
class Turns:
    """Takes tasks for a worker.

    PostgreSQL does in one statement, and so in one exchange and one commit, what concerns nothing but the tasks themselves.
    SQLite has no such statement, and no exchanges to save.
    """

    sessions: Sessions
    claimant: Claimant
    names: Collection[str]
    """The contracts that the worker can do."""
    _claims: dict[str, Iterator[int]] = field(
        default_factory=lambda: {queue: itertools.count(1) for queue in QUEUES}
    )

    def take(self, queue: str) -> Claimed | None:
        """Take the task whose turn it is in a queue; None when there is none."""
        turn = self._turn(queue)
        if not self.in_one_statement:
            return self._claim(turn)
        with database.driver(self.sessions) as driver:
            taken = lifecycle.take(driver.execute, None, turn, self.claimant)
        return self._claim(turn) if taken.more else taken.task

    def end_and_take(self, ended: Ended, queue: str, session: Session | None = None) -> Taken:
        """End a task on which nothing hangs, and take the next one of the queue with it.

        In the transaction of `session`, if one is given; else it is committed by itself. PostgreSQL only.
        """
        turn = self._turn(queue)
        if session is not None:
            session.flush()
            return lifecycle.take(session.connection().exec_driver_sql, ended, turn, self.claimant)
        with database.driver(self.sessions) as driver:
            return lifecycle.take(driver.execute, ended, turn, self.claimant)

    @property
    def in_one_statement(self) -> bool:
        """Whether one statement can end a task and take another."""
        return bool(self.sessions.kw["bind"].dialect.name == "postgresql")

    def _turn(self, queue: str) -> Turn:
        return Turn(queue, tuple(self.names), next(self._claims[queue]) % FAIR_TURN == 0)

    def _claim(self, turn: Turn) -> Claimed | None:
        for _ in range(CLAIM_LOOKS):
            try:
                with database.transaction(self.sessions) as session:
                    return lifecycle.claim_next(session, turn, self.claimant)
            except Conflict:
                continue
        return None  # the sweeper rings for what is still due
