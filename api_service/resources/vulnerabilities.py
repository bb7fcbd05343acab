"""The mirror's vulnerabilities, dry runs of the matching, explanations."""

from typing import Any

import msgspec
from flask import Response

from api_service.blueprint import Blueprint
from api_service.context import sessions
from api_service.paging import Page
from api_service.schemas.vulnerabilities import (
    ExplainInput,
    ExplanationSchema,
    MatchesSchema,
    MatchInput,
    VulnerabilityDetailSchema,
    VulnerabilityQuery,
    VulnerabilitySchema,
)
from api_service.services import vulnerabilities
from api_service.services.vulnerabilities import Filters
from shared import database
from shared.errors import NotFound
from shared.models.mirror import Vulnerability
from shared.models.user import Role

blueprint = Blueprint("vulnerabilities", "The mirror of the NVD, and what it says about components.")

MATCH_LIMIT = 16 * 1024 * 1024
"""Largest body of a match, in bytes: 5,000 components with all the CPE names that a tool guesses."""


@blueprint.operation("GET", "/vulnerabilities", role=Role.VIEWER)
@blueprint.arguments(VulnerabilityQuery, location="query")
@blueprint.page(VulnerabilitySchema)
def list_vulnerabilities(query: dict[str, Any]) -> Page[Vulnerability]:
    """List vulnerabilities.

    The latest published first; with `sort=epss` the likeliest to be exploited first. `vendor` and `product` find what the
    NVD has analysed.
    """
    page, likeliest_first = query.pop("page"), query.pop("sort") == "epss"
    with database.reading(sessions()) as session:
        return vulnerabilities.list_vulnerabilities(
            session, Filters(**query), page, likeliest_first=likeliest_first
        )


@blueprint.operation("GET", "/vulnerabilities/<cve_id>", role=Role.VIEWER)
@blueprint.response(200, VulnerabilityDetailSchema)
def get_vulnerability(cve_id: str) -> dict[str, Any]:
    """Show a vulnerability.

    Every assessment, weakness and reference, and what it affects, in the NVD's own words.
    """
    with database.reading(sessions()) as session:
        return vulnerabilities.get_vulnerability(session, cve_id)


@blueprint.operation("POST", "/vulnerabilities/match", role=Role.VIEWER, body_limit=MATCH_LIMIT)
@blueprint.arguments(MatchInput)
@blueprint.response(200, MatchesSchema)
def match_components(body: dict[str, Any]) -> Response:
    """Match components.

    What a scan of an asset of exactly these components would find; nothing is stored.
    """
    with database.reading(sessions()) as session:
        result = vulnerabilities.match(session, body["components"])
    matches = [
        {
            "component": each.component,
            "cve_id": (about := result.details[each.vulnerability_id]).cve_id,
            "certainty": each.certainty,
            "severity": about.severity,
            "evidence": evidence,
        }
        for each, evidence in zip(result.matches, result.evidences(), strict=True)
    ]
    # Tens of thousands of matches are no work for a schema.
    text = msgspec.json.encode({"matches": matches, "snapshot": result.snapshot})
    return Response(text, content_type="application/json")


@blueprint.operation(
    "POST", "/vulnerabilities/explain", role=Role.VIEWER, raises=(NotFound,), body_limit=MATCH_LIMIT
)
@blueprint.arguments(ExplainInput)
@blueprint.response(200, ExplanationSchema)
def explain_match(body: dict[str, Any]) -> dict[str, Any]:
    """Explain a match, or its absence.

    Whether a component is affected by a vulnerability, and why, or why not and what came closest.
    """
    with database.reading(sessions()) as session:
        return vulnerabilities.explain(
            session, body["component"], body["cve_id"], body["components"], body["asset_id"]
        )
