"""Findings on the wire."""

from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from api_service.schemas.base import Input, Output, PageQuery, identifier, moment
from api_service.schemas.epss import epss_field, epss_min, sort
from api_service.schemas.evidence import CERTAINTIES, EXAMPLE_EVIDENCE
from shared.models.finding import FindingStatus, Severity, Triage


def severity_field(description: str, **kwargs: Any) -> fields.Enum[Severity]:
    """A severity."""
    return fields.Enum(Severity, by_value=fields.String, metadata={"description": description}, **kwargs)


class FindingQuery(PageQuery):
    """Which findings."""

    asset_id = fields.UUID(metadata={"description": "Only of this asset."})
    scan_id = fields.UUID(
        metadata={"description": "Only of this scan's asset, to which all that it finds belongs."}
    )
    status = fields.Enum(
        FindingStatus, by_value=fields.String, metadata={"description": "Only with this status."}
    )
    severity = severity_field("Only of exactly this severity.")
    min_severity = severity_field("Only of this severity or worse.")
    cve_id = fields.String(
        validate=validate.Length(1, 32), metadata={"description": "Only of this vulnerability."}
    )
    kev = fields.Boolean(
        metadata={"description": "Only those that CISA knows to be exploited, or only others."}
    )
    epss_min = epss_min()
    sort = sort("severity")
    triage = fields.Enum(Triage, by_value=fields.String, metadata={"description": "Only triaged like this."})
    component = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "Only with this text in the component's name."},
    )
    certainty = fields.String(
        validate=validate.OneOf(CERTAINTIES), metadata={"description": "Only of this certainty."}
    )
    host = fields.String(
        validate=validate.Length(1, 64),
        metadata={"description": "Only on the host of a network with exactly this address."},
    )

    @ma.post_load
    def _upper(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "cve_id": data["cve_id"].upper()} if "cve_id" in data else data


class IfMatch(Input):
    """The guard of a triage."""

    if_match = fields.String(
        data_key="If-Match",
        metadata={
            "description": "The `ETag` of the finding as you read it. Missing, it is answered with 428."
        },
    )


class FindingChange(Input):
    """A decision about a finding."""

    triage = fields.Enum(
        Triage,
        by_value=fields.String,
        metadata={
            "description": "What it is held to be. `not_affected` and `false_positive` need a justification, "
            "`risk_accepted` a date in the future.",
            "example": "not_affected",
        },
    )
    justification = fields.String(
        allow_none=True,
        validate=validate.Length(max=4_000),
        metadata={"description": "Why.", "example": "The affected function is not compiled in."},
    )
    risk_accepted_until = fields.Date(
        allow_none=True, metadata={"description": "Until when the risk is accepted."}
    )
    comment = fields.String(
        validate=validate.Length(1, 4_000),
        metadata={"description": "For the history.", "example": "Checked with the build team."},
    )


class FindingSchema(Output):
    """This vulnerability affects this component of this asset."""

    id = identifier(required=True)
    asset_id = identifier("The asset.", required=True)
    host = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The address of the host it is on, when a network scan found the component.",
            "example": None,
        },
    )
    port = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Where the component answers there, such as `22/tcp`.", "example": None},
    )
    component_name = fields.String(
        required=True, metadata={"description": "The component.", "example": "openssl"}
    )
    component_version = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its affected versions, comma-separated if several.", "example": "1.0.1f"},
    )
    cve_id = fields.String(
        required=True, metadata={"description": "The vulnerability.", "example": "CVE-2014-0160"}
    )
    status = fields.Enum(
        FindingStatus,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "`open` as the last completed run saw it; `fixed` when an affected version is gone; `retracted` "
            "when the vulnerability was withdrawn or no longer names it.",
            "example": "open",
        },
    )
    certainty = fields.String(
        required=True,
        validate=validate.OneOf(CERTAINTIES),
        metadata={"description": "How sure it is.", "example": "confirmed"},
    )
    severity = fields.Enum(
        Severity,
        by_value=fields.String,
        required=True,
        metadata={"description": "Of the chosen CVSS assessment.", "example": "high"},
    )
    score = fields.Float(
        required=True, allow_none=True, metadata={"description": "The CVSS score.", "example": 7.5}
    )
    kev = fields.Boolean(
        required=True, metadata={"description": "CISA knows it to be exploited.", "example": True}
    )
    epss = epss_field()
    evidence = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "Why, for each affected occurrence of the component, the surest first.",
            "example": [EXAMPLE_EVIDENCE],
        },
    )
    snapshot = fields.Integer(
        required=True,
        metadata={"description": "The snapshot of the mirror that it rests on.", "example": 41},
    )
    first_run_id = identifier("The run that saw it first.", required=True, allow_none=True)
    last_run_id = identifier("The run that saw it last.", required=True, allow_none=True)
    first_seen_at = moment("When it was first seen.", required=True)
    last_seen_at = moment("When it was last seen.", required=True)
    fixed_at = moment("When a run no longer saw it.", required=True, allow_none=True)
    triage = fields.Enum(
        Triage,
        by_value=fields.String,
        required=True,
        metadata={"description": "What a human decided.", "example": "unset"},
    )
    justification = fields.String(
        required=True, allow_none=True, metadata={"description": "Why.", "example": None}
    )
    risk_accepted_until = fields.Date(
        required=True,
        allow_none=True,
        metadata={"description": "Until when the risk is accepted.", "example": None},
    )
    version = fields.Integer(
        required=True, metadata={"description": "Grows with every triage; the `ETag`.", "example": 1}
    )


class FindingEventSchema(Output):
    """An entry of a finding's history."""

    at = moment("When.", required=True)
    kind = fields.String(
        required=True,
        metadata={
            "description": "`opened`, `fixed`, `reopened`, `retracted`, `severity_raised`, `triaged`, `known_exploited` when the "
            "vulnerability was listed by CISA, `kev_withdrawn` when it is listed no more.",
            "example": "opened",
        },
    )
    run_id = identifier("By which run.", required=True, allow_none=True)
    user_id = fields.UUID(
        required=True, allow_none=True, metadata={"description": "By whom.", "example": None}
    )
    detail = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "Of a triage: `before`, `after` and the `comment`, if any.",
            "example": None,
        },
    )


class FindingDetailSchema(FindingSchema):
    """A finding with its history."""

    events = fields.List(
        fields.Nested(FindingEventSchema),
        required=True,
        metadata={"description": "Its history, oldest first; it is never shortened."},
    )


class FindingExplanationSchema(Output):
    """Why a finding is one."""

    finding_id = identifier("The finding.", required=True)
    cve_id = fields.String(
        required=True, metadata={"description": "The vulnerability.", "example": "CVE-2014-0160"}
    )
    component_name = fields.String(
        required=True, metadata={"description": "The component.", "example": "openssl"}
    )
    component_version = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Its affected versions.", "example": "1.0.1f"},
    )
    status = fields.Enum(
        FindingStatus,
        by_value=fields.String,
        required=True,
        metadata={"description": "Whether the evidence still holds.", "example": "open"},
    )
    certainty = fields.String(
        required=True,
        validate=validate.OneOf(CERTAINTIES),
        metadata={"description": "How sure it is.", "example": "confirmed"},
    )
    snapshot = fields.Integer(
        required=True,
        metadata={"description": "The snapshot of the mirror that it rests on.", "example": 41},
    )
    sentences = fields.List(
        fields.String(),
        required=True,
        metadata={
            "description": "The evidence in words, the surest first.",
            "example": [EXAMPLE_EVIDENCE["sentence"]],
        },
    )
    evidence = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "The evidence as data.", "example": [EXAMPLE_EVIDENCE]},
    )
