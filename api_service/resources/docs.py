"""Swagger UI, from our own host and under a strict content security policy. Not part of the OpenAPI document."""

import secrets
from importlib import resources

import flask
from flask import Response, render_template, send_file

from api_service import auth
from shared.errors import NotFound

blueprint = flask.Blueprint("docs", __name__)

ASSETS = frozenset({"swagger-ui.css", "index.css", "swagger-ui-bundle.js", "favicon-32x32.png"})
"""What the page needs of Swagger UI's distribution."""


@blueprint.get("/docs")
@auth.public
def page() -> Response:
    """Serve the page; its one inline script bears a nonce."""
    nonce = secrets.token_urlsafe(16)
    response = Response(render_template("docs.html", nonce=nonce))
    response.headers["Content-Security-Policy"] = "; ".join(
        (
            "default-src 'none'",
            f"script-src 'self' 'nonce-{nonce}'",
            "style-src 'self' 'unsafe-inline'",  # Swagger UI sets style attributes
            "img-src 'self' data:",
            "connect-src 'self'",
            "base-uri 'none'",
            "form-action 'none'",
            "frame-ancestors 'none'",
        )
    )
    return response


@blueprint.get("/docs/assets/<name>")
@auth.public
def asset(name: str) -> Response:
    """Serve one of Swagger UI's files."""
    if name not in ASSETS:
        raise NotFound("There is no such file.")
    with resources.as_file(resources.files("flask_swagger_ui") / "dist" / name) as path:
        response = send_file(path, conditional=True, max_age=3600)
    response.headers["Cache-Control"] = "public, max-age=3600"
    return response
