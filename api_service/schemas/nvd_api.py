"""The parameters and the answer of the NVD's API 2.0 (https://nvd.nist.gov/developers/vulnerabilities)."""

import datetime as dt
from typing import Any

import marshmallow as ma
from marshmallow import fields, validate

from api_service.schemas.base import Input, Output, QueryNumber
from shared.matching import cpe
from shared.models.mirror import CVE_ID

LARGEST_PAGE = 2000
LONGEST_WINDOW = dt.timedelta(days=120)
_WINDOWS = (
    ("last_modified", "lastModStartDate", "lastModEndDate"),
    ("published", "pubStartDate", "pubEndDate"),
)
_SEVERITIES = ("LOW", "MEDIUM", "HIGH")


class Moment(fields.Field[dt.datetime]):
    """A time in the extended format of ISO 8601; UTC where it names no zone."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> dt.datetime:  # noqa: ARG002
        try:
            moment = dt.datetime.fromisoformat(str(value).strip().replace(" ", "+"))  # a bare + is a blank
            return moment.replace(tzinfo=dt.UTC) if moment.tzinfo is None else moment.astimezone(dt.UTC)
        except (ValueError, OverflowError):
            raise ma.ValidationError("Not a time such as 2026-03-01T00:00:00.000Z.") from None


class Presence(fields.Field[bool]):
    """A parameter that is there or not, and has no value."""

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> bool:  # noqa: ARG002
        if value not in ("", "true"):
            raise ma.ValidationError("Takes no value.")
        return True


def _moment(description: str, name: str) -> Moment:
    return Moment(
        data_key=name, metadata={"description": description, "type": "string", "format": "date-time"}
    )


def _presence(description: str, name: str) -> Presence:
    metadata = {"description": description, "type": "string", "enum": ["", "true"]}
    return Presence(data_key=name, metadata=metadata)


def _severity(version: str, *more: str) -> fields.String:
    return fields.String(
        data_key=f"cvssV{version}Severity",
        validate=validate.OneOf([*_SEVERITIES, *more]),
        metadata={"description": f"Somebody's assessment by CVSS {version} is this."},
    )


class CveQuery(Input):
    """Which records, and which page of them. Loads into the fields of a question, and the page."""

    start = QueryNumber(
        load_default=0,
        data_key="startIndex",
        validate=validate.Range(0, 2**31 - 1),
        metadata={"description": "Where the page begins, counted from 0."},
    )
    size = QueryNumber(
        load_default=LARGEST_PAGE,
        data_key="resultsPerPage",
        validate=validate.Range(1, LARGEST_PAGE),
        metadata={"description": "How many records a page holds."},
    )
    cve_id = fields.String(
        data_key="cveId",
        validate=validate.Regexp(CVE_ID, error="Not a CVE id."),
        metadata={"description": "The one with this id."},
    )
    last_modified_since = _moment(
        "Modified at or after; a window has both ends and at most 120 days.", "lastModStartDate"
    )
    last_modified_until = _moment("Modified at or before.", "lastModEndDate")
    published_since = _moment("Published at or after; like `lastModStartDate`.", "pubStartDate")
    published_until = _moment("Published at or before.", "pubEndDate")
    no_rejected = _presence("Leave out what was withdrawn.", "noRejected")
    has_kev = _presence("Only what CISA knows to be exploited.", "hasKev")
    cwe_id = fields.String(
        data_key="cweId",
        validate=validate.Regexp(r"(NVD-)?CWE-[A-Za-z0-9]{1,16}\Z", error="Not a CWE id."),
        metadata={"description": "Instances of this weakness."},
    )
    keywords = fields.String(
        data_key="keywordSearch",
        validate=[validate.Length(1, 200), validate.Regexp(r"[\s\S]*\S", error="Must not be blank.")],
        metadata={"description": "Each of these words begins a word of the description."},
    )
    exact = _presence("The keywords are a phrase.", "keywordExactMatch")
    cpe_name = fields.String(
        data_key="cpeName",
        validate=validate.Length(1, 500),
        metadata={
            "description": "A criterion matches this CPE name; part, vendor, product and version are needed."
        },
    )
    is_vulnerable = _presence("That criterion is a vulnerable one; with `cpeName`.", "isVulnerable")
    cvss_v2 = _severity("2")
    cvss_v3 = _severity("3", "CRITICAL")
    cvss_v4 = _severity("4", "CRITICAL")
    source = fields.String(
        data_key="sourceIdentifier",
        validate=validate.Length(1, 200),
        metadata={"description": "From this source, such as `cve@mitre.org`."},
    )

    @ma.validates_schema
    def _check(self, data: dict[str, Any], **_: Any) -> None:
        for field, start, end in _WINDOWS:
            _check_window(data.get(f"{field}_since"), data.get(f"{field}_until"), start, end)
        if data.get("exact") and "keywords" not in data:
            raise ma.ValidationError("Needs keywordSearch.", "keywordExactMatch")
        if data.get("is_vulnerable") and "cpe_name" not in data:
            raise ma.ValidationError("Needs cpeName.", "isVulnerable")
        if "cpe_name" in data and not _is_complete(data["cpe_name"]):
            raise ma.ValidationError("Not a CPE 2.3 name with part, vendor, product and version.", "cpeName")

    @ma.post_load
    def _gather(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        for field, _start, _end in _WINDOWS:
            since, until = data.pop(f"{field}_since", None), data.pop(f"{field}_until", None)
            data[field] = None if since is None else (since, until)
        severities = ((generation, data.pop(f"cvss_v{generation}", None)) for generation in (2, 3, 4))
        data["severities"] = tuple((generation, word) for generation, word in severities if word)
        return data


def _check_window(since: dt.datetime | None, until: dt.datetime | None, start: str, end: str) -> None:
    if since is None and until is None:
        return
    if since is None or until is None:
        raise ma.ValidationError(f"{start} and {end} are needed together.", start if since is None else end)
    if until < since:
        raise ma.ValidationError(f"Is before {start}.", end)
    if until - since > LONGEST_WINDOW:
        raise ma.ValidationError(f"Is more than 120 days after {start}.", end)


def _is_complete(name: str) -> bool:
    try:
        read = cpe.parse(name)
    except ValueError:
        return False
    return all(part not in ("*", "") for part in (read.part, read.vendor, read.product, read.version))


class CvePageSchema(Output):
    """The NVD's answer."""

    results_per_page = fields.Integer(
        data_key="resultsPerPage",
        required=True,
        metadata={"description": "Records in this answer.", "example": 1},
    )
    start_index = fields.Integer(
        data_key="startIndex", required=True, metadata={"description": "Where it begins.", "example": 0}
    )
    total_results = fields.Integer(
        data_key="totalResults", required=True, metadata={"description": "Records in all.", "example": 1}
    )
    format = fields.String(required=True, metadata={"description": "`NVD_CVE`.", "example": "NVD_CVE"})
    version = fields.String(required=True, metadata={"description": "`2.0`.", "example": "2.0"})
    timestamp = fields.String(
        required=True,
        metadata={
            "description": "Every change that the NVD dates before this is in the answers of this mirror. UTC.",
            "example": "2026-03-15T12:00:00.000",
        },
    )
    vulnerabilities = fields.List(
        fields.Dict(),
        required=True,
        metadata={
            "description": "The records as the NVD gave them.",
            "example": [{"cve": {"id": "CVE-2014-0160", "vulnStatus": "Modified"}}],
        },
    )
