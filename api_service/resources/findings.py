"""Findings and their triage."""

import uuid
from typing import Any

from flask import request

from api_service.auth import principal
from api_service.blueprint import Blueprint
from api_service.context import sessions
from api_service.paging import Page
from api_service.schemas.findings import (
    FindingChange,
    FindingDetailSchema,
    FindingExplanationSchema,
    FindingQuery,
    FindingSchema,
    IfMatch,
)
from api_service.services import findings
from api_service.services.findings import Decision, Filters
from shared import database
from shared.errors import PreconditionRequired, Stale
from shared.models.finding import Finding
from shared.models.user import Role

blueprint = Blueprint("findings", "What was found, why, and what was decided about it.")

FINDINGS = "/vulnerabilities/findings"
FINDING = f"{FINDINGS}/<uuid:finding_id>"
_ETAG = {"description": "The version, for `If-Match`.", "schema": {"type": "string", "example": '"1"'}}

Tagged = tuple[Finding, int, dict[str, str]]
"""A finding, the status 200 and its ETag."""


@blueprint.operation("GET", FINDINGS, role=Role.VIEWER)
@blueprint.arguments(FindingQuery, location="query")
@blueprint.page(FindingSchema)
def list_findings(query: dict[str, Any]) -> Page[Finding]:
    """List findings.

    The worst first: by severity, then by score. With `sort=epss` the likeliest to be exploited first.
    """
    page, likeliest_first = query.pop("page"), query.pop("sort") == "epss"
    with database.reading(sessions()) as session:
        return findings.list_findings(session, Filters(**query), page, likeliest_first=likeliest_first)


@blueprint.operation("GET", FINDING, role=Role.VIEWER)
@blueprint.response(200, FindingDetailSchema, headers={"ETag": _ETAG})
def get_finding(finding_id: uuid.UUID) -> Tagged:
    """Show a finding.

    With its history. The `ETag` is what a triage sends as `If-Match`.
    """
    with database.reading(sessions()) as session:
        return _tagged(findings.get_finding(session, finding_id))


@blueprint.operation("PATCH", FINDING, role=Role.ANALYST, raises=(PreconditionRequired, Stale))
@blueprint.arguments(IfMatch, location="headers")
@blueprint.arguments(FindingChange)
@blueprint.response(200, FindingDetailSchema, headers={"ETag": _ETAG})
def triage_finding(guard: dict[str, Any], body: dict[str, Any], finding_id: uuid.UUID) -> Tagged:
    """Triage a finding.

    Records a decision in the finding's permanent history, with who made it. With another triage, the justification and the
    date of the former fall unless they are sent again. Somebody who triaged it since you read it is not overwritten: send
    its `ETag` as `If-Match`.
    """
    if "if_match" not in guard:
        raise PreconditionRequired("Send If-Match with the ETag of the finding as you read it.")
    decision = Decision(body, body.pop("comment", None))
    tags = None if request.if_match.star_tag else request.if_match.as_set()
    with database.transaction(sessions()) as session:
        return _tagged(findings.triage_finding(session, finding_id, tags, decision, principal().user_id))


def _tagged(finding: Finding) -> Tagged:
    return finding, 200, {"ETag": f'"{finding.version}"'}


@blueprint.operation("GET", f"{FINDING}/explanation", role=Role.VIEWER)
@blueprint.response(200, FindingExplanationSchema)
def explain_finding(finding_id: uuid.UUID) -> dict[str, Any]:
    """Explain a finding.

    The evidence that was stored with it, as data and in words.
    """
    with database.reading(sessions()) as session:
        return findings.explain_finding(session, finding_id)
