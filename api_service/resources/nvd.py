"""The state of the mirror."""

from typing import Any

from api_service.blueprint import Blueprint
from api_service.context import sessions
from api_service.paging import Page
from api_service.schemas.base import PageQuery
from api_service.schemas.nvd import MirrorStatusSchema, SyncSchema
from api_service.services import nvd
from api_service.services.nvd import Status
from shared import database
from shared.models.mirror import Sync
from shared.models.user import Role

blueprint = Blueprint("nvd", "How complete and how fresh the mirror of the NVD is.")


@blueprint.operation("GET", "/nvd/status", role=Role.VIEWER)
@blueprint.response(200, MirrorStatusSchema)
def get_mirror_status() -> Status:
    """Show how the mirror stands."""
    with database.reading(sessions()) as session:
        return nvd.mirror_status(session)


@blueprint.operation("GET", "/nvd/syncs", role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(SyncSchema)
def list_syncs(query: dict[str, Any]) -> Page[Sync]:
    """List syncs.

    The latest first, with what each read and changed.
    """
    with database.reading(sessions()) as session:
        return nvd.list_syncs(session, **query)
