"""The state of the mirror on the wire."""

from marshmallow import fields, validate

from api_service.schemas.base import EXAMPLE_ID, Output, moment
from shared.models.mirror import SyncKind, SyncState


def _count(description: str, example: int) -> fields.Integer:
    return fields.Integer(required=True, metadata={"description": description, "example": example})


class SyncSchema(Output):
    """One run of mirroring."""

    id = _count("Its number.", 7)
    kind = fields.Enum(
        SyncKind,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where the records came from.", "example": "feed"},
    )
    source = fields.String(
        required=True, metadata={"description": "The file or address.", "example": "nvdcve-2.0-2026.json.gz"}
    )
    state = fields.Enum(
        SyncState,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "How it stands; what a failed one had committed stays.",
            "example": "completed",
        },
    )
    task_id = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "The task that does it.", "example": EXAMPLE_ID},
    )
    started_at = moment("When it began.", required=True)
    finished_at = moment("When it ended.", required=True, allow_none=True)
    read = _count("Records read.", 2000)
    changed = _count("Records that were added, changed or rejected.", 120)
    unchanged = _count("Records that were there already.", 1879)
    quarantined = _count("Records that could not be used and are kept as they came.", 1)
    upstream_total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many records the source says it has.", "example": 2000},
    )
    upstream_timestamp = moment("The source's own time.", required=True, allow_none=True)
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it did not complete.", "example": None},
    )


class YearSchema(Output):
    """The vulnerabilities of a year."""

    year = _count("The year in the CVE id.", 2026)
    count = _count("How many the mirror holds.", 12345)


class MirrorStatusSchema(Output):
    """How complete and how fresh the mirror is."""

    state = fields.String(
        required=True,
        validate=validate.OneOf(["empty", "bootstrapping", "fresh", "stale"]),
        metadata={
            "description": "`empty`; `bootstrapping` while the first sync runs; `stale` when the newest record is older "
            "than 24 h, `fresh` otherwise.",
            "example": "fresh",
        },
    )
    snapshot = _count("The number of the last committed batch of changes.", 41)
    vulnerabilities = _count("CVE records, rejected ones included.", 134485)
    analysed = _count("Of these, those of which the NVD says what they affect.", 120000)
    unanalysed = _count("Of these, those of which it does not say so yet.", 12485)
    rejected = _count("Of these, those that were withdrawn.", 2000)
    quarantined = _count("Records that could not be used.", 0)
    criteria = _count("Distinct criteria: CPE match strings with their ranges.", 271000)
    newest_record_at = moment("When the NVD changed the newest record.", required=True, allow_none=True)
    age_seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "How long ago that is.", "example": 5400.0}
    )
    years = fields.List(
        fields.Nested(YearSchema), required=True, metadata={"description": "Vulnerabilities by year."}
    )
    last_sync = fields.Nested(
        SyncSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The latest sync, running or not."},
    )
    running = fields.Boolean(
        required=True, metadata={"description": "A sync is under way.", "example": False}
    )
    attribution = fields.String(
        required=True,
        metadata={
            "description": "The notice that the NVD's terms want shown.",
            "example": "This product uses the NVD API but is not endorsed or certified by the NVD.",
        },
    )
