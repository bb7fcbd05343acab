"""Deliveries of one's own notifications."""

import uuid
from typing import Any

from api_service.auth import principal
from api_service.blueprint import Blueprint
from api_service.context import sessions
from api_service.paging import Page
from api_service.schemas.deliveries import (
    DeliveryQuery,
    DeliverySchema,
    RedeliveredSchema,
    RedeliverRange,
)
from api_service.services import deliveries
from shared import database
from shared.errors import Conflict, NotFound
from shared.models.notification import Delivery
from shared.models.user import Role

blueprint = Blueprint("deliveries", "What went out to the caller, and what came of it.")


@blueprint.operation("GET", "/deliveries", role=Role.VIEWER)
@blueprint.arguments(DeliveryQuery, location="query")
@blueprint.page(DeliverySchema)
def list_deliveries(query: dict[str, Any]) -> Page[Delivery]:
    """List deliveries of one's own notifications.

    Newest first, with every attempt.
    """
    with database.reading(sessions()) as session:
        return deliveries.list_deliveries(session, principal(), **query)


@blueprint.operation("POST", "/deliveries/<uuid:delivery_id>/redeliver", role=Role.VIEWER, raises=(Conflict,))
@blueprint.response(200, DeliverySchema)
def redeliver(delivery_id: uuid.UUID) -> Delivery:
    """Send a failed delivery again.

    At once, with the whole retry schedule before it, under the same message id; a digest as a whole. Refused unless it
    failed.
    """
    with database.transaction(sessions()) as session:
        return deliveries.redeliver(session, principal(), delivery_id)


@blueprint.operation("POST", "/deliveries/redeliver", role=Role.VIEWER, raises=(NotFound,))
@blueprint.arguments(RedeliverRange)
@blueprint.response(200, RedeliveredSchema)
def redeliver_all(body: dict[str, Any]) -> dict[str, int]:
    """Send again what failed in a range of time.

    In its order, under the same message ids. Disabled channels are passed over.
    """
    with database.transaction(sessions()) as session:
        return {"redelivered": deliveries.redeliver_all(session, principal(), **body)}
