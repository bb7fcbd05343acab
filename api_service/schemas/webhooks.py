"""What a webhook channel posts: the body's schema, version 1, for those who write receivers."""

from typing import Any

from apispec import APISpec
from marshmallow import fields

from api_service.schemas.base import EXAMPLE_ID, Output, moment
from shared.models.finding import Severity
from shared.models.notification import Priority

VERSION = 1


def _number(description: str, example: int = 0) -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": description, "example": example})


def _text(description: str, example: str, *, optional: bool = False) -> fields.String:
    return fields.String(
        required=True, allow_none=optional, metadata={"description": description, "example": example}
    )


class WebhookCounts(Output):
    """How many."""

    scans = _number("Scans that ended well.", 1)
    failed = _number("Runs that failed.")
    findings = _number("Open findings of these scans.", 36)
    critical = _number("Of them critical.", 2)
    high = _number("High.", 9)
    medium = _number("Medium.", 20)
    low = _number("Low.", 5)
    none = _number("Without severity.")
    unknown = _number("Not rated yet.")  # type: ignore[assignment]  # marshmallow takes fields out of the class
    new = _number("Findings that are new.", 3)
    reopened = _number("Findings that were fixed once.")
    severity_raised = _number("Findings that became more severe.")
    known_exploited_added = _number("Findings that became known to be exploited.")
    fixed = _number("Findings that are gone.", 1)
    retracted = _number("Findings whose CVE was rejected or no longer matches.")


class WebhookScan(Output):
    """A run of a scan."""

    scan_id = fields.UUID(required=True, metadata={"description": "The scan.", "example": EXAMPLE_ID})
    name = _text("Its name.", "web shop")
    run_id = fields.UUID(required=True, metadata={"description": "The run.", "example": EXAMPLE_ID})
    status = _text("How it ended: `completed` or `failed`.", "completed")
    trigger = _text("What started it: `manual`, `schedule` or `mirror`.", "schedule")
    findings = _number("Its open findings.", 36)
    new = _number("New ones of them.", 3)


class WebhookFinding(Output):
    """A finding that is new, or got worse."""

    finding_id = fields.UUID(required=True, metadata={"description": "Its id.", "example": EXAMPLE_ID})
    cve_id = _text("The vulnerability.", "CVE-2014-0160")
    component = _text("What is affected.", "openssl")
    version = _text("In which versions that are there.", "1.0.1f", optional=True)
    asset_id = fields.UUID(required=True, metadata={"description": "Where.", "example": EXAMPLE_ID})
    asset = _text("That asset's name.", "web shop")
    severity = fields.Enum(
        Severity,
        by_value=fields.String,
        required=True,
        metadata={"description": "By its chosen CVSS score.", "example": "high"},
    )
    score = fields.Float(
        required=True, allow_none=True, metadata={"description": "That score.", "example": 7.5}
    )
    epss = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "FIRST's EPSS score, 0 to 1.", "example": 0.94},
    )
    kev = fields.Boolean(
        required=True, metadata={"description": "Whether it is known to be exploited.", "example": True}
    )


class WebhookDetails(Output):
    """What scans and catalogues changed."""

    version = _number("Of this schema.", VERSION)
    events = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "All types that it tells.", "example": ["scan_completed", "new_findings"]},
    )
    known_exploited = fields.Boolean(
        required=True, metadata={"description": "Whether one of the worst is.", "example": True}
    )
    counts = fields.Nested(WebhookCounts, required=True, metadata={"description": "How many."})
    scans = fields.List(
        fields.Nested(WebhookScan), required=True, metadata={"description": "The first 20 runs."}
    )
    worst = fields.List(
        fields.Nested(WebhookFinding),
        required=True,
        metadata={
            "description": "The worst five of what is new or got worse: known-exploited ones first, then by EPSS, then by "
            "CVSS score. What somebody has triaged away is left out."
        },
    )


class WebhookEntity(Output):
    """What a notification is about."""

    type = _text("What kind of thing.", "scan")
    id = _text("Which one.", EXAMPLE_ID, optional=True)


class WebhookNotification(Output):
    """A notification. In a digest `data` is `{notifications: [...], omitted: n}`; in a test `{title, message}`."""

    id = fields.UUID(required=True, metadata={"description": "Its id.", "example": EXAMPLE_ID})
    type = _text("The first of the types that it tells.", "scan_completed")
    events = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "All of them.", "example": ["scan_completed", "new_findings"]},
    )
    title = _text("In one line.", "Scan completed: web shop")
    message = _text("In sentences, at most 4,000 characters.", "36 open findings, 2 critical, 9 high.")
    priority = fields.Enum(
        Priority,
        by_value=fields.String,
        required=True,
        metadata={"description": "How much it matters.", "example": "critical"},
    )
    entity = fields.Nested(
        WebhookEntity, required=True, allow_none=True, metadata={"description": "What it is about."}
    )
    created_at = moment("When it was made.", required=True)
    details = fields.Nested(
        WebhookDetails,
        required=True,
        allow_none=True,
        metadata={"description": "For programs; null where there is no more than the text."},
    )


class WebhookBody(Output):
    """What a webhook posts."""

    type = _text("The notification's type, `digest` or `test`.", "scan_completed")
    timestamp = moment("When what it tells was told in the application.", required=True)
    version = _number("Of this schema: it grows when a field changes its meaning or goes.", VERSION)
    data = fields.Nested(
        WebhookNotification,
        required=True,
        metadata={
            "description": "The notification; of a digest `{notifications: [...], omitted: n}`, of a test `{title, message}`."
        },
    )


_HEADERS = {
    "webhook-id": "What names the message; the same when it is sent again.",
    "webhook-timestamp": "Seconds since 1970 when it was sent; refuse what is older than five minutes.",
    "webhook-signature": "`v1,` and a base64 HMAC-SHA256 of `id.timestamp.body` under the secret; several, separated by "
    "spaces, while a secret is changed.",
}


def describe(spec: APISpec) -> None:
    """Add to the document what webhooks receive."""
    spec.components.schema("WebhookBody", schema=WebhookBody)
    body: dict[str, Any] = {
        "schema": {"$ref": "#/components/schemas/WebhookBody"},
        "example": WebhookBody.example(),
    }
    headers = [
        {
            "in": "header",
            "name": name,
            "required": True,
            "description": description,
            "schema": {"type": "string"},
        }
        for name, description in _HEADERS.items()
    ]
    operation = {
        "summary": "A notification.",
        "description": "Posted to webhook channels, signed after Standard Webhooks (https://www.standardwebhooks.com).",
        "parameters": headers,
        "requestBody": {"required": True, "content": {"application/json": body}},
        "responses": {
            "2XX": {"description": "It is delivered."},
            "410": {"description": "The receiver wants no more: the channel is disabled."},
            "default": {
                "description": "408, 425, 429 and 5xx are tried again, `Retry-After` is honoured; others are not."
            },
        },
    }
    spec.options["webhooks"] = {"notification": {"post": operation}}
