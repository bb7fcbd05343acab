"""Scans, their runs and their progress."""

import uuid
from typing import Any

from flask import Response, request

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import parts, sessions, settings
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.resources import scan_events
from api_service.schemas.base import PageQuery
from api_service.schemas.scans import (
    SCAN_EXAMPLES,
    STATUS_EVENT,
    CancelledSchema,
    RunSchema,
    ScanChange,
    ScanCreate,
    ScanQuery,
    ScanSchema,
    ScanStatusSchema,
    StartedSchema,
)
from api_service.services import scans
from api_service.services.scans import Status
from shared import database
from shared.errors import Conflict, Unavailable
from shared.models.scan import Run, Scan
from shared.models.user import Role

blueprint = Blueprint("scans", "Scans: what is scanned, when, and how far it is.")

SCANS = "/vulnerabilities/scans"
SCAN = f"{SCANS}/<uuid:scan_id>"


@blueprint.operation("POST", SCANS, role=Role.ANALYST, idempotent=True)
@blueprint.arguments(ScanCreate, examples=SCAN_EXAMPLES)
@blueprint.response(201, ScanSchema, headers={"Location": "LOCATION"})
def create_scan(body: dict[str, Any]) -> Response:
    """Define a scan.

    A network scan's addresses must lie within `VEDETTE_SCAN_ALLOWED_TARGETS`; host names are looked up, and their addresses
    checked, whenever it runs.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            scan = scans.create_scan(
                session, **body, limits=settings().scan_limits, created_by=principal().user_id
            )
            return Answer(ScanSchema().dump(scan), 201, f"{PREFIX}{SCANS}/{scan.id}")

        return once(session, act)


@blueprint.operation("GET", SCANS, role=Role.VIEWER)
@blueprint.arguments(ScanQuery, location="query")
@blueprint.page(ScanSchema)
def list_scans(query: dict[str, Any]) -> Page[Scan]:
    """List scans.

    Newest first.
    """
    with database.reading(sessions()) as session:
        return scans.list_scans(session, **query)


@blueprint.operation("GET", SCAN, role=Role.VIEWER)
@blueprint.response(200, ScanSchema)
def get_scan(scan_id: uuid.UUID) -> Scan:
    """Show a scan."""
    with database.reading(sessions()) as session:
        return scans.get_scan(session, scan_id)


@blueprint.operation("PATCH", SCAN, role=Role.ANALYST)
@blueprint.arguments(ScanChange)
@blueprint.response(200, ScanSchema)
def change_scan(body: dict[str, Any], scan_id: uuid.UUID) -> Scan:
    """Change a scan.

    A run that is under way goes on as it began. The asset stays: findings belong to it.
    """
    with database.transaction(sessions()) as session:
        return scans.change_scan(session, scan_id, body, settings().scan_limits)


@blueprint.operation("DELETE", SCAN, role=Role.ANALYST, raises=(Conflict,))
@blueprint.response(204)
def delete_scan(scan_id: uuid.UUID) -> None:
    """Delete a scan.

    With its runs; the findings belong to the asset and stay. Refused while a run is under way.
    """
    with database.transaction(sessions()) as session:
        scans.delete_scan(session, scan_id)


@blueprint.operation("POST", f"{SCAN}/start", role=Role.ANALYST, raises=(Conflict,), idempotent=True)
@blueprint.response(202, StartedSchema, headers={"Location": "LOCATION"})
def start_scan(scan_id: uuid.UUID) -> Response:
    """Start a run.

    Refused while another run of the scan is under way. Who starts it is told when it ends.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            scan, run = scans.start_scan(session, scan_id, principal().user_id)
            started = {
                "id": scan.id,
                "name": scan.name,
                "status": run.status.value,
                "task_id": run.task_id,
                "run_id": run.id,
            }
            return Answer(StartedSchema().dump(started), 202, f"{PREFIX}/tasks/{run.task_id}")

        return once(session, act)


@blueprint.operation("GET", f"{SCAN}/status", role=Role.VIEWER)
@blueprint.response(200, ScanStatusSchema)
def get_scan_status(scan_id: uuid.UUID) -> Status:
    """Show how a scan stands.

    Its latest run and that run's task, seen at one moment.
    """
    with database.reading(sessions()) as session:
        return scans.scan_status(session, scan_id)


@blueprint.operation("POST", f"{SCAN}/cancel", role=Role.ANALYST, raises=(Conflict,))
@blueprint.response(200, CancelledSchema)
def cancel_scan(scan_id: uuid.UUID) -> dict[str, Any]:
    """Cancel the run that is under way.

    One that waits never runs; one that runs stops at its next checkpoint, at the latest after 30 s. Neither changes a
    finding. Refused when nothing is under way.
    """
    with database.transaction(sessions()) as session:
        return {"scan_id": scan_id, "status": scans.cancel_scan(session, scan_id).value}


@blueprint.operation("GET", f"{SCAN}/runs", role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(RunSchema)
def list_runs(query: dict[str, Any], scan_id: uuid.UUID) -> Page[Run]:
    """List a scan's runs.

    Newest first.
    """
    with database.reading(sessions()) as session:
        return scans.list_runs(session, scan_id, **query)


@blueprint.operation("GET", f"{SCAN}/runs/<uuid:run_id>", role=Role.VIEWER)
@blueprint.response(200, RunSchema)
def get_run(scan_id: uuid.UUID, run_id: uuid.UUID) -> Run:
    """Show a run."""
    with database.reading(sessions()) as session:
        return scans.get_run(session, scan_id, run_id)


@blueprint.operation("GET", f"{SCAN}/events", role=Role.VIEWER)
@blueprint.response(200, {"type": "string"}, content_type="text/event-stream", example=STATUS_EVENT)
def follow_scan(scan_id: uuid.UUID) -> Response:
    """Follow the run that is under way.

    Server-sent events: `progress` with the scan's status whenever it changes, `end` when the run has ended; then the stream
    closes. Without a run under way it tells the status once and ends. Half of the service's threads serve streams at most;
    beyond that it answers 503.
    """
    with database.reading(sessions()) as session:
        first = scans.scan_status(session, scan_id)
    slots = parts().long_lived
    if not slots.acquire(blocking=False):
        raise Unavailable("All event streams are taken; ask for the status instead, or try again.")
    try:
        stream = scan_events.follow(sessions(), first, scan_events.gone_check(request.environ))
        answer = Response(stream, content_type="text/event-stream")
        answer.headers |= {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    except BaseException:
        slots.release()
        raise
    answer.call_on_close(slots.release)  # also when the client goes away
    return answer
