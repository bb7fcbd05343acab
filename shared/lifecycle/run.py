"""The transitions of a run.

    queued ──> running ──> completed | failed | cancelled
       ^          │  └───> cancelling ──> cancelled
       └──────────┘ (its worker was lost, or an attempt failed and another follows)

A run is opened with its task and then only follows it, in the same transaction; `completed` is written by the recording
itself, which knows the counts.
"""

import uuid

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from shared import database
from shared.errors import Conflict
from shared.lifecycle import summary
from shared.models.base import Document
from shared.models.scan import Run, RunStatus, Scan, Trigger
from shared.models.task import Task, TaskState
from shared.tasks import EXECUTE_VULNERABILITY_SCAN, SEND_NOTIFICATION, Asking, ask

_PRIORITY = {Trigger.MANUAL: 40, Trigger.SCHEDULE: 60, Trigger.MIRROR: 70}

_STATUS = {
    TaskState.PENDING: RunStatus.QUEUED,
    TaskState.RETRY: RunStatus.QUEUED,
    TaskState.STARTED: RunStatus.RUNNING,
    TaskState.PROGRESS: RunStatus.RUNNING,
    TaskState.SUCCESS: RunStatus.COMPLETED,
    TaskState.FAILURE: RunStatus.FAILED,
    TaskState.REVOKED: RunStatus.CANCELLED,
}


def start(
    session: Session, scan: Scan, requested_by: uuid.UUID | None, trigger: Trigger = Trigger.MANUAL
) -> Run:
    """Open a run of `scan` and ask for its task. Raises Conflict while another run of the scan is under way.

    The scan is locked before its runs, here and wherever a run becomes the latest: of two who start it in different
    orders each would wait for the other.
    """
    _lock(session, scan.id)
    run = Run(
        id=uuid.uuid4(),
        scan_id=scan.id,
        task_id=uuid.uuid4(),
        status=RunStatus.QUEUED,
        trigger=trigger,
        requested_by=requested_by,
        created_at=database.now(session),
    )
    try:
        with session.begin_nested():
            session.add(run)
    except IntegrityError:  # uq_run_open
        raise Conflict(f"A run of the scan {scan.name!r} is under way already.") from None
    run.task_id = ask(
        session,
        EXECUTE_VULNERABILITY_SCAN,
        Asking(
            priority=_PRIORITY[trigger],
            lock_key=f"asset:{scan.asset_id}",
            asked_by=requested_by,
        ),
        run_id=str(run.id),
    )
    scan.latest_run_id = run.id
    session.flush()
    session.refresh(scan, ["latest_run"])
    return run


def complete(run: Run, counts: Document, snapshot: int, network: Document | None = None) -> None:
    """Note what a run found, and of a network what it looked at.

    Its status follows when its task succeeds, in the same transaction.
    """
    run.counts = counts
    run.snapshot = snapshot
    run.network = network


def follow(session: Session, task: Task) -> None:
    """Bring the run of `task` to where its task is now."""
    run = session.scalar(sa.select(Run).where(Run.task_id == task.id).with_for_update())
    if run is None:
        return
    status = _STATUS[task.state]
    if status == RunStatus.RUNNING and task.cancel_requested_at is not None:
        status = RunStatus.CANCELLING
    if status == run.status:
        return
    reopened = run.ended_at is not None and task.ended_at is None
    if reopened:
        _lock(session, run.scan_id)
    try:
        with session.begin_nested():
            run.status = status
            run.error = task.error if status in (RunStatus.FAILED, RunStatus.QUEUED) else None
            run.ended_at = task.ended_at
            if status == RunStatus.RUNNING and run.started_at is None:
                run.started_at = task.started_at
    except IntegrityError:  # uq_run_open: a dead run is requeued while a newer one is under way
        raise Conflict("A newer run of this scan is under way already.") from None
    if reopened:  # a scan shows the run that is under way
        session.execute(sa.update(Scan).where(Scan.id == run.scan_id).values(latest_run_id=run.id))
    if status == RunStatus.FAILED:
        _tell_of_failure(session, run)


def _lock(session: Session, scan_id: uuid.UUID) -> None:
    session.execute(sa.select(Scan.id).where(Scan.id == scan_id).with_for_update(key_share=True))


def _tell_of_failure(session: Session, run: Run) -> None:
    scan = session.get_one(Scan, run.scan_id)
    if run.requested_by is None:
        return
    if run.trigger != Trigger.MANUAL:
        summary.gather(session, run.requested_by, database.now(session))
        return
    run.told_at = database.now(session)
    ask(
        session,
        SEND_NOTIFICATION,
        Asking(asked_by=run.requested_by),
        user_id=str(run.requested_by),
        notification_type="scan_failed",
        title=f"Scan failed: {scan.name}"[:200],
        message=f"The scan {scan.name!r} failed and changed no finding: {run.error}",
        priority="high",
        entity_type="run",
        entity_id=str(run.id),
    )
