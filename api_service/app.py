"""`create_app`: a list of what is wired."""

import threading

from flask import Flask

from api_service import context, errors, hooks, openapi
from api_service.context import Parts
from api_service.metrics import Metrics
from api_service.resources import (
    assets,
    channels,
    deliveries,
    docs,
    findings,
    health,
    notifications,
    nvd,
    nvd_api,
    nvd_feeds,
    scans,
    tasks,
    tokens,
    users,
    vulnerabilities,
)
from shared import credentials, database
from shared.database import Sessions, make_engine, make_sessions
from shared.doorbell import connect, open_doorbell
from shared.settings import Settings

BLUEPRINTS = (
    tokens.blueprint,
    users.blueprint,
    assets.blueprint,
    scans.blueprint,
    findings.blueprint,
    vulnerabilities.blueprint,
    nvd.blueprint,
    nvd_api.blueprint,
    nvd_feeds.blueprint,
    tasks.blueprint,
    notifications.blueprint,
    channels.blueprint,
    deliveries.blueprint,
    health.blueprint,
)
"""Every noun, in the order of the documentation."""


def create_app(settings: Settings, sessions: Sessions | None = None) -> Flask:
    """The WSGI application. Tests hand in sessions of their own, whose ringer may be a fake."""
    if sessions is None:
        sessions = make_sessions(make_engine(settings.sqlalchemy_url), open_doorbell(settings.redis_url))
    parts = Parts(
        settings=settings,
        sessions=sessions,
        redis=connect(settings.redis_url, timeout=0.5),
        metrics=Metrics(sessions, settings.mirror_stale_after),
        serving=threading.BoundedSemaphore(max(1, settings.api_threads // 4)),
        long_lived=threading.BoundedSemaphore(max(1, settings.api_threads // 2)),
    )
    app = Flask("api_service", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = settings.max_document_bytes
    app.json.sort_keys = False  # type: ignore[attr-defined]  # answers keep the order of their schema
    context.install(app, parts)
    hooks.install(app)
    errors.install(app)
    api = openapi.install(app)
    for blueprint in BLUEPRINTS:
        api.register_blueprint(blueprint)
    app.register_blueprint(docs.blueprint)
    return app


def make_first_admin(settings: Settings, sessions: Sessions) -> None:
    """Let `VEDETTE_ADMIN_TOKEN` in, when it is set."""
    if settings.admin_token is not None:
        with database.transaction(sessions) as session:
            credentials.ensure_admin(session, settings.admin_token.get_secret_value())
