"""The state of the mirror."""

from typing import Any

from flask import Response

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import sessions, settings
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.schemas.base import PageQuery
from api_service.schemas.nvd import (
    MirrorStatusSchema,
    SourceSyncStartedSchema,
    SyncRequest,
    SyncSchema,
    SyncStartedSchema,
)
from api_service.services import nvd
from api_service.services.nvd import Status
from shared import database
from shared.errors import Conflict
from shared.models.mirror import Sync
from shared.models.user import Role

blueprint = Blueprint("nvd", "How complete and how fresh the mirror of the NVD is.")


@blueprint.operation("GET", "/nvd/status", role=Role.VIEWER)
@blueprint.response(200, MirrorStatusSchema)
def get_mirror_status() -> Status:
    """Show how the mirror stands."""
    with database.reading(sessions()) as session:
        return nvd.mirror_status(session, settings())


@blueprint.operation("POST", "/nvd/sync", role=Role.ADMIN, idempotent=True)
@blueprint.arguments(SyncRequest, required=False)
@blueprint.response(202, SyncStartedSchema, headers={"Location": "LOCATION"})
def start_sync(body: dict[str, Any]) -> Response:
    """Start a sync.

    There is one at a time: while one waits or is under way, that one's task is answered.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            task = nvd.start_sync(session, **body, asked_by=principal().user_id)
            started = {"task_id": task.id, "task_state": task.state, **task.arguments}
            return Answer(SyncStartedSchema().dump(started), 202, f"{PREFIX}/tasks/{task.id}")

        return once(session, act)


@blueprint.operation(
    "POST", "/nvd/sources/<source>/sync", role=Role.ADMIN, idempotent=True, raises=(Conflict,)
)
@blueprint.response(202, SourceSyncStartedSchema, headers={"Location": "LOCATION"})
def start_source_sync(source: str) -> Response:
    """Read CISA's catalogue or FIRST's scores.

    The source is `kev` or `epss`. They are read daily; this does it now. While one waits or is under
    way, that one's task is answered.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            task = nvd.start_source_sync(session, settings(), source, principal().user_id)
            started = {"task_id": task.id, "task_state": task.state}
            return Answer(SourceSyncStartedSchema().dump(started), 202, f"{PREFIX}/tasks/{task.id}")

        return once(session, act)


@blueprint.operation("GET", "/nvd/syncs", role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(SyncSchema)
def list_syncs(query: dict[str, Any]) -> Page[Sync]:
    """List syncs.

    The latest first, with what each read and changed.
    """
    with database.reading(sessions()) as session:
        return nvd.list_syncs(session, **query)
