"""Scans and their runs: what is scanned, when, and how far it is."""

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services import search
from shared import database, schedules, targets
from shared.errors import Conflict, Invalid, NotFound
from shared.lifecycle import run as run_lifecycle
from shared.lifecycle import task as task_lifecycle
from shared.models.asset import Asset
from shared.models.base import Document
from shared.models.scan import OPEN_RUN, Run, RunStatus, Scan, ScannerKind
from shared.models.task import Task, TaskState
from shared.nmap.options import OptionError, parse_targets, read
from shared.targets import Limits

log = structlog.get_logger(__name__)

PENDING = "pending"
"""The status of a scan before its first run; after it, the latest run's."""

_ENDED_STATE = {
    RunStatus.COMPLETED: TaskState.SUCCESS,
    RunStatus.FAILED: TaskState.FAILURE,
    RunStatus.CANCELLED: TaskState.REVOKED,
}
"""What the task of an ended run was, told from the run: the task's row is kept for a day."""


@dataclass(frozen=True)
class Progress:
    """How far a task is; all None before it begins."""

    stage: str | None = None
    current: int | None = None
    total: int | None = None
    percent: int | None = None


@dataclass(frozen=True)
class Status:
    """How a scan stands: its latest run and that run's task, seen at one moment."""

    scan_id: uuid.UUID
    scan_status: str
    run_id: uuid.UUID | None = None
    task_id: uuid.UUID | None = None
    task_state: TaskState | None = None
    task_info: Progress = Progress()

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return self.scan_status not in OPEN_RUN


def create_scan(  # noqa: PLR0913  # the fields of a scan, and what bounds them
    session: Session,
    *,
    name: str,
    asset_id: uuid.UUID,
    scanner: ScannerKind,
    options: Document,
    limits: Limits,
    schedule: Document | None = None,
    created_by: uuid.UUID | None = None,
) -> Scan:
    """Define a scan; `limits` are those of network scans.

    Raises Invalid for an asset that does not exist, and for options and schedules that cannot be used.
    """
    if session.get(Asset, asset_id, with_for_update={"read": True}) is None:
        raise Invalid("There is no such asset.", {"asset_id": ["There is no such asset."]})
    now = database.now(session)
    scan = Scan(
        id=uuid.uuid4(),
        name=name,
        asset_id=asset_id,
        scanner=scanner,
        options=_checked_options(scanner, options, limits),
        created_by=created_by,
        created_at=now,
        updated_at=now,
    )
    _set_schedule(session, scan, schedule)
    session.add(scan)
    session.flush()
    return scan


def list_scans(
    session: Session,
    *,
    page: PageRequest,
    asset_id: uuid.UUID | None = None,
    status: str | None = None,
    name: str | None = None,
    q: str | None = None,
) -> Page[Scan]:
    """Scans, newest first."""
    statement = sa.select(Scan).where(*search.conjunction((Scan.asset_id, asset_id), (Scan.name, name)))
    if q is not None:
        statement = statement.where(search.contains(Scan.name, q))
    if status == PENDING:
        statement = statement.where(Scan.latest_run_id.is_(None))
    elif status is not None:
        statement = statement.where(
            Scan.latest_run_id.in_(sa.select(Run.id).where(Run.status == RunStatus(status)))
        )
    return fetch(session, statement.order_by(Scan.created_at.desc(), Scan.id), page)


def get_scan(session: Session, scan_id: uuid.UUID, *, lock: bool = False) -> Scan:
    """One scan, its row locked for this transaction if asked for. Raises NotFound."""
    scan = session.get(Scan, scan_id, with_for_update={"of": Scan} if lock else None)
    if scan is None:
        raise NotFound("There is no such scan.")
    return scan


def change_scan(session: Session, scan_id: uuid.UUID, changes: Document, limits: Limits) -> Scan:
    """Change `name`, `scanner`, `options` or `schedule`.

    Raises NotFound, and Invalid for options and schedules that cannot be used.
    """
    scan = get_scan(session, scan_id, lock=True)
    scan.updated_at = database.now(session)
    scan.name = changes.get("name", scan.name)
    scan.scanner = changes.get("scanner", scan.scanner)
    scan.options = _checked_options(scan.scanner, changes.get("options", scan.options), limits)
    if "schedule" in changes:
        _set_schedule(session, scan, changes["schedule"])
    session.flush()
    return scan


def delete_scan(session: Session, scan_id: uuid.UUID) -> None:
    """Delete a scan with its runs; findings belong to the asset and stay.

    Raises NotFound, and Conflict while a run of it is under way.
    """
    scan = get_scan(session, scan_id, lock=True)
    under_way = sa.select(Run.id).where(Run.scan_id == scan.id, Run.status.in_(OPEN_RUN))
    if session.scalar(under_way.limit(1)) is not None:
        raise Conflict("A run of this scan is under way; cancel it first.")
    session.delete(scan)
    session.flush()


def start_scan(session: Session, scan_id: uuid.UUID, requested_by: uuid.UUID) -> tuple[Scan, Run]:
    """Start a run. Raises NotFound, and Conflict while another is under way."""
    scan = get_scan(session, scan_id)
    return scan, run_lifecycle.start(session, scan, requested_by)


def cancel_scan(session: Session, scan_id: uuid.UUID) -> RunStatus:
    """Ask for the run that is under way to stop; the run's status then. Raises NotFound, and Conflict when none is.

    Columns are read, not rows kept: what the worker changed meanwhile must be seen behind the task's lock.
    """
    latest = sa.select(Run.id, Run.task_id, Run.status).join(Scan, Scan.latest_run_id == Run.id)
    run = session.execute(latest.where(Scan.id == scan_id)).one_or_none()
    if run is None:
        get_scan(session, scan_id)
    if run is None or run.status not in OPEN_RUN:
        raise Conflict("No run of this scan is under way.")
    task_lifecycle.request_cancel(session, run.task_id)
    status = session.scalar(sa.select(Run.status).where(Run.id == run.id))
    assert status is not None  # noqa: S101  # its task is locked, so its scan cannot be deleted
    return status


def scan_status(session: Session, scan_id: uuid.UUID) -> Status:
    """How a scan stands, run and task seen at one moment. Raises NotFound.

    In a reading transaction, which is one consistent snapshot.
    """
    scan = get_scan(session, scan_id)
    if scan.latest_run is None:
        return Status(scan.id, PENDING)
    return _status(session, scan.latest_run)


def run_status(session: Session, run_id: uuid.UUID) -> Status | None:
    """How one run stands; None when it was deleted with its scan."""
    run = session.get(Run, run_id)
    return None if run is None else _status(session, run)


def list_runs(session: Session, scan_id: uuid.UUID, *, page: PageRequest) -> Page[Run]:
    """A scan's runs, newest first. Raises NotFound."""
    get_scan(session, scan_id)
    statement = sa.select(Run).where(Run.scan_id == scan_id)
    return fetch(session, statement.order_by(Run.created_at.desc(), Run.id), page)


def get_run(session: Session, scan_id: uuid.UUID, run_id: uuid.UUID) -> Run:
    """One run of a scan. Raises NotFound."""
    run = session.get(Run, run_id)
    if run is None or run.scan_id != scan_id:
        raise NotFound("There is no such run of this scan.")
    return run


def _status(session: Session, run: Run) -> Status:
    task = session.get(Task, run.task_id)
    if task is None:
        state, progress = _ENDED_STATE.get(run.status), Progress()
    elif task.state == TaskState.SUCCESS:
        state, progress = task.state, Progress(task.stage, task.total, task.total, 100)
    else:
        state, progress = task.state, Progress(task.stage, task.current, task.total, task.percent)
    return Status(run.scan_id, run.status.value, run.id, run.task_id, state, progress)


def _checked_options(scanner: ScannerKind, options: Document, limits: Limits) -> Document:
    """The options, if the scanner takes them."""
    if scanner is ScannerKind.NETWORK:
        _check_network(options, limits)
    elif options:
        wrong: dict[str, list[str]] = {
            f"options.{name}": [f"The scanner {scanner} does not know this option."] for name in options
        }
        raise Invalid(f"The scanner {scanner} takes no options.", wrong)
    return options


def _check_network(options: Document, limits: Limits) -> None:
    """Refuse options that cannot be used, and addresses that may not be scanned; names are looked up when it runs."""
    try:
        for index, target in enumerate(parse_targets(read(options))):
            where = f"targets.{index}"
            try:
                targets.check(target, limits)
            except targets.NotAllowedError as error:
                log.warning("scan_target_refused", address=str(error.address), setting=targets.SETTING)
                raise OptionError(where, str(error)) from None
            except targets.TargetError as error:
                raise OptionError(where, str(error)) from None
    except OptionError as error:
        raise Invalid(f"options.{error}.", {f"options.{error.where}": [error.why]}) from None


def _set_schedule(session: Session, scan: Scan, schedule: dict[str, Any] | None) -> None:
    if schedule is None:
        scan.cron, scan.timezone, scan.next_run_at = None, "UTC", None
        return
    cron, timezone = schedule["cron"], schedule["timezone"]
    scan.next_run_at = schedules.next_time(cron, timezone, database.now(session))
    scan.cron, scan.timezone = cron, timezone
