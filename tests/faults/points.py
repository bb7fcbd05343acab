"""Named fault points: the moments between two steps of the product at which a fault strikes on purpose.

The product knows nothing of them: they are seen from its engine. What a transaction, or a statement that a worker has the
driver commit by itself, did to the table of tasks tells which step it was, and a fault may strike just before or just after
its commit:

    before-ask,   after-ask      a task is added; after: committed, and nobody rung for yet
    before-claim, after-claim    a worker takes a task; after: committed, and its handler not begun
    before-end,   after-end      a task ends well with its effect; after: committed, and what follows not rung for yet
    before-record, after-record  what came of an attempt to deliver is noted; before: the receiver has it, and no row says so
    before-dot,   after-dot      a worker notes that it ends a mail; after: committed, and the mail not ended yet

What strikes is an action: `kill` and `stop` are SIGKILL and SIGSTOP to the process itself, `refuse` is the database's
error instead of the commit.
"""

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import sqlalchemy as sa

from tests.faults.journal import write

Plan = Callable[[str], str | None]
"""The action that strikes at a point now; None for none."""

JOURNAL = "FAULT_JOURNAL"
"""The variable that names the journal to children."""
POINT = "FAULT_POINT"
"""The variable that plans a worker's end: `after-claim=kill` at the first passage, `after-claim=kill:3` at the third."""


def install(engine: sa.Engine, plan: Plan) -> None:
    """Let `plan` strike in transactions of `engine`."""

    @sa.event.listens_for(engine, "before_cursor_execute")
    def mark(connection: sa.Connection, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        connection.info.setdefault("steps", set()).update(_steps(statement, parameters))

    commit, rollback = engine.dialect.do_commit, engine.dialect.do_rollback

    def do_commit(connection: Any) -> None:
        steps = sorted(_forget(connection))
        for step in steps:
            _strike(engine, f"before-{step}", plan)
        commit(connection)
        for step in steps:
            _strike(engine, f"after-{step}", plan)

    def do_rollback(connection: Any) -> None:
        _forget(connection)
        rollback(connection)

    engine.dialect.do_commit = do_commit  # type: ignore[method-assign]
    engine.dialect.do_rollback = do_rollback  # type: ignore[method-assign]
    if engine.dialect.name == "postgresql":
        _install_in_the_driver(engine, plan)


def _install_in_the_driver(engine: sa.Engine, plan: Plan) -> None:
    """The same for statements of `database.driver`, which SQLAlchemy does not see and nobody commits."""
    engine.dispose()  # connections made from now on have it

    class Cursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **how: Any) -> Any:
            steps = _taking(str(query)) if self.connection.autocommit else []
            for step in steps:
                _strike(engine, f"before-{step}", plan)
            super().execute(query, *arguments, **how)
            for step in steps:
                _strike(engine, f"after-{step}", plan)
            return self

    @sa.event.listens_for(engine, "connect")
    def follow(connection: Any, _entry: Any) -> None:
        connection.cursor_factory = Cursor


def _forget(connection: Any) -> set[str]:
    """The steps of a transaction that comes to its end; the driver's own connections, in no pool yet, bear none."""
    try:
        info = connection.info
    except (AttributeError, NotImplementedError):
        return set()
    return info.pop("steps", set()) if isinstance(info, dict) else set()


def _steps(statement: str, parameters: Any) -> list[str]:
    if statement.startswith("INSERT INTO task "):
        return ["ask"]
    if statement.startswith("UPDATE delivery_attempt SET handing_over_at="):
        return ["dot"]
    if statement.startswith("UPDATE delivery_attempt SET seconds="):
        return ["record"]
    if not statement.startswith(("UPDATE task ", "WITH found")):
        return []
    values = {str(each) for each in (parameters.values() if isinstance(parameters, dict) else parameters)}
    return ["end"] if "SUCCESS" in values else _taking(statement)


def _taking(statement: str) -> list[str]:
    """The steps of the statement with which a worker on PostgreSQL ends one task and takes the next."""
    steps = {"end": _ENDS, "claim": _CLAIMS}
    return [step for step, words in steps.items() if words in statement]


_CLAIMS = "attempt=(task.attempt +"
_ENDS = "SET state='SUCCESS'"


def _strike(engine: sa.Engine, point: str, plan: Plan) -> None:
    action = plan(point)
    if action is None:
        return
    if JOURNAL in os.environ:
        write(Path(os.environ[JOURNAL]), "struck", point=point, action=action, pid=os.getpid())
    if action == "refuse":
        raise engine.dialect.dbapi.OperationalError(f"fault point {point}")
    os.kill(os.getpid(), {"kill": signal.SIGKILL, "stop": signal.SIGSTOP}[action])


def from_environment() -> Plan:
    """The plan that `FAULT_POINT` names, for a process of its own."""
    point, _, rest = os.environ.get(POINT, "").partition("=")
    action, _, number = rest.partition(":")
    left = int(number or 1)

    def plan(passed: str) -> str | None:
        nonlocal left
        if passed != point:
            return None
        left -= 1
        return action if left == 0 else None

    return plan
