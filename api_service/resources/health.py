"""Health and numbers, for who runs the service; at the root and without a token."""

import redis
from flask import Response
from prometheus_client import CONTENT_TYPE_LATEST

from api_service.blueprint import Blueprint
from api_service.context import parts, sessions
from api_service.schemas.health import LiveSchema, ReadySchema
from api_service.services import health
from shared.errors import Unavailable

blueprint = Blueprint("health", "Is it alive, can it work, what are its numbers.", url_prefix="")


@blueprint.operation("GET", "/healthz", role=None)
@blueprint.response(200, LiveSchema)
def live() -> dict[str, str]:
    """Tell whether the process answers."""
    return {"status": "live"}


@blueprint.operation("GET", "/readyz", role=None, raises=(Unavailable,))
@blueprint.response(200, ReadySchema)
def ready() -> dict[str, object]:
    """Tell whether the service can work.

    503 names the part that keeps it from working. While only Redis is away it is `degraded`, not unready.
    """
    health.check_database(sessions())
    try:
        parts().redis.ping()
        doorbell = "ok"
    except redis.RedisError:
        doorbell = "away"
    status = "ready" if doorbell == "ok" else "degraded"
    return {"status": status, "checks": {"database": "ok", "migrations": "ok", "redis": doorbell}}


@blueprint.operation("GET", "/metrics", role=None)
@blueprint.response(
    200, {"type": "string"}, content_type="text/plain", example="# TYPE vedette_tasks gauge\n"
)
def metrics() -> Response:
    """Give the numbers in Prometheus' text format."""
    return Response(parts().metrics.render(), content_type=CONTENT_TYPE_LATEST)
