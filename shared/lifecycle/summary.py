"""Bursts become one message: what changes without somebody having asked for it just now is gathered per person.

A schedule that starts two hundred scans, a mirror whose news concern two hundred assets, a catalogue that marks a thousand
findings: each person gets one message, once the last of their runs has ended. A task that has not begun stands for the
message; it tells whatever has not been told when it begins (`Run.told_at`).
"""

import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.models.task import WAITING, Task
from shared.tasks import SEND_FINDINGS_NEWS, Asking, ask

WINDOW = dt.timedelta(seconds=30)
"""How long to wait for more, from the first news on and again while runs are under way."""


def gather(session: Session, user_id: uuid.UUID, since: dt.datetime, after: uuid.UUID | None = None) -> None:
    """Have a user told of what was not told yet, and of findings marked from `since` on; with others that ask, once.

    `after` is the task that asks for its own continuation. Whoever asks holds the row of the task that stands until the end
    of its transaction: a task that begins before would not see what this transaction writes.
    """
    key = f"findings_news:{user_id}"
    if after is not None:
        key = f"{key}:after:{after}"
    while True:
        how = Asking(dedupe_key=key, run_after=database.now(session) + WINDOW, asked_by=user_id)
        task_id = ask(session, SEND_FINDINGS_NEWS, how, user_id=str(user_id), since=since.isoformat())
        standing = session.scalars(
            sa.select(Task)
            .where(Task.id == task_id)
            .with_for_update()
            .execution_options(populate_existing=True)
        ).one()
        if standing.state in WAITING:
            return
        if standing.ended_at is None:  # it may have looked already: another follows it
            key = f"findings_news:{user_id}:after:{standing.id}"
