"""The transitions of a sync.

    (none) ── its task works on it ──> running ──> completed | failed | cancelled

The handler opens it and counts into it; from there it only follows its task, in the same transaction, so that a sync whose
task failed, was cancelled or lost its worker for good does not go on showing as running.
"""

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.models.mirror import Sync, SyncState
from shared.models.task import Task, TaskState

_STATE = {
    TaskState.PENDING: SyncState.RUNNING,
    TaskState.RETRY: SyncState.RUNNING,
    TaskState.STARTED: SyncState.RUNNING,
    TaskState.PROGRESS: SyncState.RUNNING,
    TaskState.SUCCESS: SyncState.COMPLETED,
    TaskState.FAILURE: SyncState.FAILED,
    TaskState.REVOKED: SyncState.CANCELLED,
}


def follow(session: Session, task: Task) -> None:
    """Bring the sync of `task` to where its task is now; there is none before its handler has begun."""
    sync = session.scalar(sa.select(Sync).where(Sync.task_id == task.id).with_for_update())
    if sync is None:
        return
    sync.state = _STATE[task.state]
    sync.finished_at = task.ended_at
    if task.state not in (TaskState.STARTED, TaskState.PROGRESS):
        sync.error = task.error  # while an attempt is made, why the last one failed remains to be read
