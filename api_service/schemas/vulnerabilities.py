"""The mirror's vulnerabilities, matches and explanations on the wire."""

import datetime as dt
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from api_service.schemas.base import Input, Moment, Output, PageQuery, moment
from api_service.schemas.components import ComponentField, ComponentList
from api_service.schemas.epss import epss_field, epss_min, sort
from api_service.schemas.evidence import CERTAINTIES, EXAMPLE_CRITERION, EXAMPLE_EVIDENCE, OPENSSL
from shared.matching.reason import Reason
from shared.models.finding import Severity

MAX_COMPONENTS = 5_000


def _since(description: str) -> fields.AwareDateTime:
    return Moment(
        format="iso", default_timezone=dt.UTC, metadata={"description": f"{description} UTC unless it says."}
    )


def _text(description: str, example: Any = None, *, optional: bool = False) -> fields.String:
    return fields.String(
        required=True, allow_none=optional, metadata={"description": description, "example": example}
    )


def _severity(description: str) -> fields.Enum[Severity]:
    return fields.Enum(
        Severity,
        by_value=fields.String,
        required=True,
        metadata={"description": description, "example": "high"},
    )


class VulnerabilityQuery(PageQuery):
    """Which vulnerabilities."""

    q = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "The beginning of an id, or words that all occur in the description."},
    )
    severity = fields.Enum(
        Severity, by_value=fields.String, metadata={"description": "Only of exactly this severity."}
    )
    cwe = fields.String(
        validate=validate.Length(1, 32),
        metadata={"description": "Only instances of this weakness, such as `CWE-79`."},
    )
    vendor = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "Only those that affect a product of this vendor, by its name in CPE."},
    )
    product = fields.String(
        validate=validate.Length(1, 200),
        metadata={"description": "Only those that affect this product, by its name in CPE."},
    )
    kev = fields.Boolean(
        metadata={"description": "Only those that CISA knows to be exploited, or only others."}
    )
    epss_min = epss_min()
    sort = sort("published")
    published_since = _since("Only those published then or later.")
    modified_since = _since("Only those that the NVD changed then or later.")

    @ma.post_load
    def _upper(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        if "cwe" in data and data["cwe"].lower().startswith("cwe-"):
            return {**data, "cwe": data["cwe"].upper()}
        return data


class VulnerabilitySchema(Output):
    """One CVE record of the mirror, in short."""

    cve_id = _text("Its CVE id.", "CVE-2014-0160")
    status = _text("The NVD's `vulnStatus`.", "Analyzed")
    rejected = fields.Boolean(
        required=True, metadata={"description": "It was withdrawn and matches nothing.", "example": False}
    )
    analysed = fields.Boolean(
        required=True,
        metadata={
            "description": "The NVD has said what it affects. If not, the absence of a match says nothing.",
            "example": True,
        },
    )
    published = moment("When it was published.", required=True)
    last_modified = moment("When the NVD last changed it.", required=True)
    severity = _severity("Of the chosen assessment: the newest CVSS version, the Primary source first.")
    score = fields.Float(
        required=True, allow_none=True, metadata={"description": "Its score.", "example": 7.5}
    )
    cvss_version = _text("Its CVSS version.", "3.1", optional=True)
    cvss_vector = _text("Its vector.", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", optional=True)
    kev_added = fields.Date(
        attribute="exploited_since",
        required=True,
        allow_none=True,
        metadata={
            "description": "When CISA listed it as known to be exploited; null if it did not.",
            "example": "2022-05-04",
        },
    )
    epss = epss_field()
    description = _text("What it is, in English.", "OpenSSL trusts the length in a heartbeat request.")
    snapshot = fields.Integer(
        required=True,
        metadata={"description": "The snapshot of the mirror in which it last changed.", "example": 12},
    )


class DescriptionSchema(Output):
    """A description in one language."""

    lang = _text("The language.", "en", optional=True)
    value = _text("The text.", "OpenSSL trusts the length in a heartbeat request.", optional=True)


class CvssSchema(Output):
    """One CVSS assessment."""

    version = _text("The CVSS version.", "3.1", optional=True)
    source = _text("Who assessed.", "nvd@nist.gov", optional=True)
    type = _text("`Primary` or `Secondary`.", "Primary", optional=True)
    score = fields.Float(required=True, metadata={"description": "The base score.", "example": 7.5})
    severity = _text("The assessment's own word, in lower case.", "high", optional=True)
    vector = _text("The vector.", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:N/A:N", optional=True)


class WeaknessSchema(Output):
    """A kind of weakness that it is an instance of."""

    cwe = _text("The CWE id.", "CWE-125")
    source = _text("Who says so.", "nvd@nist.gov", optional=True)
    type = _text("`Primary` or `Secondary`.", "Primary", optional=True)


class ReferenceSchema(Output):
    """Where to read on."""

    url = _text("The address.", "https://heartbleed.com/", optional=True)
    source = _text("Who gave it.", "cve@mitre.org", optional=True)
    tags = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What is to be found there.", "example": ["Third Party Advisory"]},
    )


class KevSchema(Output):
    """CISA's entry of a vulnerability that is known to be exploited."""

    added = fields.Date(
        required=True, metadata={"description": "When it was listed.", "example": "2022-05-04"}
    )
    due = fields.Date(
        required=True,
        allow_none=True,
        metadata={"description": "By when US agencies must act.", "example": "2022-05-25"},
    )
    name = _text("What CISA calls it.", "OpenSSL Information Disclosure Vulnerability", optional=True)
    action = _text("What CISA demands.", "Apply updates per vendor instructions.", optional=True)
    ransomware = fields.Boolean(
        required=True,
        allow_none=True,
        metadata={
            "description": "Ransomware is known to use it; null when CISA's own catalogue has not been read.",
            "example": False,
        },
    )
    vendor = _text("The vendor, in CISA's words.", "OpenSSL", optional=True)
    product = _text("The product, in CISA's words.", "OpenSSL", optional=True)
    notes = _text("Where CISA points to.", "https://nvd.nist.gov/vuln/detail/CVE-2014-0160", optional=True)
    cwes = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "The kinds of weakness, as CISA has them.", "example": ["CWE-125"]},
    )


class VulnerabilityDetailSchema(VulnerabilitySchema):
    """One CVE record of the mirror."""

    source = _text("Who assigned the id.", "secalert@redhat.com", optional=True)
    descriptions = fields.List(
        fields.Nested(DescriptionSchema),
        required=True,
        metadata={"description": "The description in every language."},
    )
    cvss = fields.List(
        fields.Nested(CvssSchema), required=True, metadata={"description": "Every CVSS assessment."}
    )
    weaknesses = fields.List(
        fields.Nested(WeaknessSchema), required=True, metadata={"description": "Its kinds of weakness."}
    )
    references = fields.List(
        fields.Nested(ReferenceSchema), required=True, metadata={"description": "Where to read on."}
    )
    kev = fields.Nested(
        KevSchema,
        required=True,
        allow_none=True,
        metadata={"description": "CISA's entry, if it is known to be exploited."},
    )
    ssvc = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "SSVC decisions, as the record has them.", "example": []},
    )
    configurations = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "What it affects, as the NVD analysed it and wrote it.",
            "example": [
                {
                    "nodes": [
                        {
                            "operator": "OR",
                            "negate": False,
                            "cpeMatch": [{"vulnerable": True, **EXAMPLE_CRITERION}],
                        }
                    ]
                }
            ],
        },
    )
    affected = fields.List(
        fields.Dict(),
        required=True,
        metadata={"description": "What it affects, as the CNA wrote it.", "example": []},
    )


class MatchInput(Input):
    """What to match."""

    components = ComponentList(
        MAX_COMPONENTS,
        required=True,
        metadata={
            "description": "One asset's whole set, so that a platform beside the software counts; at most 5,000."
        },
    )


class MatchSchema(Output):
    """A component is affected by a vulnerability."""

    component = fields.Integer(
        required=True, metadata={"description": "The component's index in the request.", "example": 0}
    )
    cve_id = _text("The vulnerability.", "CVE-2014-0160")
    certainty = fields.String(
        required=True,
        validate=validate.OneOf(CERTAINTIES),
        metadata={"description": "How sure it is.", "example": "confirmed"},
    )
    severity = _severity("Of the chosen CVSS assessment.")
    evidence = fields.Dict(required=True, metadata={"description": "Why.", "example": EXAMPLE_EVIDENCE})


class MatchesSchema(Output):
    """Every match, ordered by component, then by CVE id."""

    matches = fields.List(fields.Nested(MatchSchema), required=True, metadata={"description": "The matches."})
    snapshot = fields.Integer(
        required=True,
        metadata={"description": "The snapshot of the mirror that the answer is about.", "example": 41},
    )


class ExplainInput(Input):
    """What to explain."""

    component = ComponentField(required=True, metadata={"description": "The component in question."})
    cve_id = fields.String(
        required=True,
        validate=validate.Regexp(r"(?i)^CVE-\d{4}-\d{4,19}\Z"),
        metadata={"description": "The vulnerability in question.", "example": "CVE-2014-0160"},
    )
    components = ComponentList(
        MAX_COMPONENTS,
        load_default=list,
        metadata={
            "description": "What else its asset consists of, where a platform matters.",
            "example": [],
        },
    )
    asset_id = fields.UUID(
        load_default=None,
        metadata={
            "description": "The asset that it is part of: the rest of its inventory is looked at as well, and a decision "
            "about the finding is the reason `suppressed`.",
        },
    )


class NearMissSchema(Output):
    """What the record names that comes close."""

    reason = _text("Why it is not met.", "version_outside")
    path = _text("Where the record names it.", "configurations[0].nodes[0].cpeMatch[0]")
    criterion = fields.Dict(
        required=True,
        metadata={"description": "What it names.", "example": EXAMPLE_CRITERION},
    )
    identifier = _text("The CPE name that was compared with it.", OPENSSL)
    comparison = _text("The comparison of versions.", "1.0.1g >= 1.0.1 and 1.0.1g = 1.0.1g, wanted < 1.0.1g")


class ExplanationSchema(Output):
    """Why a component is affected, or why not."""

    cve_id = _text("The vulnerability.", "CVE-2014-0160")
    matches = fields.Boolean(
        required=True, metadata={"description": "Whether it is affected.", "example": True}
    )
    reason = fields.String(
        required=True,
        allow_none=True,
        validate=validate.OneOf([reason.value for reason in Reason]),
        metadata={"description": "Why not; null when it matches.", "example": None},
    )
    sentence = _text("The answer in words.", EXAMPLE_EVIDENCE["sentence"])
    evidence = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "Of the match; null when there is none.", "example": EXAMPLE_EVIDENCE},
    )
    near_misses = fields.List(
        fields.Nested(NearMissSchema),
        required=True,
        metadata={"description": "What came closest, the closest first.", "example": []},
    )
    snapshot = fields.Integer(
        required=True,
        metadata={"description": "The snapshot of the mirror that the answer is about.", "example": 41},
    )
