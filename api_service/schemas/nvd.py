"""The state of the mirror on the wire."""

from marshmallow import fields, validate

from api_service.schemas.base import EXAMPLE_ID, Flag, Input, Number, Output, identifier, moment
from shared.enrichment import SourceState
from shared.mirror_health import MirrorState
from shared.models.mirror import SyncKind, SyncState
from shared.models.task import TaskState


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
        metadata={"description": "Why it, or its last attempt, did not complete.", "example": None},
    )
    substitute = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What it had to do without, and used instead.", "example": None},
    )
    troubles = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        allow_none=True,
        metadata={
            "description": "What went wrong on the way and was overcome, with how often.",
            "example": {"the NVD API answered 503 with an HTML page": 3},
        },
    )


class SyncRequest(Input):
    """What a sync is to read."""

    days_back = Number(
        load_default=7,
        validate=validate.Range(0, 3650),
        metadata={"description": "Read again what changed in so many days.", "example": 7},
    )
    full = Flag(
        load_default=False,
        metadata={"description": "Read everything again and compare.", "example": False},
    )


class SourceSyncStartedSchema(Output):
    """The task that reads a source."""

    task_id = identifier("The task; its state tells how the sync stands.", required=True)
    task_state = fields.Enum(
        TaskState,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where the task stands.", "example": "PENDING"},
    )


class SyncStartedSchema(SourceSyncStartedSchema):
    """The task of a sync."""

    days_back = _count("How many days it reads again.", 7)
    full = fields.Boolean(
        required=True, metadata={"description": "Whether it reads everything.", "example": False}
    )


class YearSchema(Output):
    """The vulnerabilities of a year."""

    year = _count("The year in the CVE id.", 2026)
    count = _count("How many the mirror holds.", 12345)
    upstream = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "How many the upstream's feed of the year had; the one of 2002 has the years before as well.",
            "example": 12345,
        },
    )
    upstream_at = moment("When that feed was written.", required=True, allow_none=True)
    missing = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many of these the mirror lacks.", "example": 0},
    )


class QuarantineSchema(Output):
    """A record that could not be used."""

    cve_id = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "If it names one.", "example": "CVE-2026-1234"},
    )
    source = fields.String(
        required=True, metadata={"description": "Where it came from.", "example": "NVD API"}
    )
    reason = fields.String(
        required=True,
        metadata={"description": "Why it cannot be used.", "example": "no usable lastModified: None"},
    )
    snapshot = _count("The mirror's snapshot when it came.", 40)
    first_seen_at = moment("When it came.", required=True)


class SyncProgressSchema(Output):
    """How far a sync is."""

    task_id = identifier("Its task.", required=True)
    stage = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What it reads.", "example": "api: everything"},
    )
    current = fields.Integer(
        required=True, allow_none=True, metadata={"description": "How much of it is done.", "example": 42000}
    )
    total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "How much it is.", "example": 362000}
    )
    percent = fields.Integer(
        required=True, allow_none=True, metadata={"description": "0 to 100.", "example": 11}
    )
    eta_seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={"description": "How long the stage will take at the pace so far.", "example": 930.0},
    )


class SourceStatusSchema(Output):
    """How a source beside the NVD stands."""

    state = fields.Enum(
        SourceState,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "`never` read; `stale` when it was not read lately, or those who publish it have not renewed it; "
            "`off` when it is not to be asked; else `fresh`.",
            "example": "fresh",
        },
    )
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it is `stale`.", "example": None}
    )
    version = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of the catalogue or the model.", "example": "2026.10.01"},
    )
    released_at = moment("The source's own time stamp.", required=True, allow_none=True)
    count = _count("Entries held.", 1404)
    skipped = fields.Dict(
        keys=fields.String(),
        values=fields.Integer(),
        required=True,
        metadata={"description": "Entries that could not be used: why, and how many.", "example": {}},
    )
    last_attempt_at = moment("When it was last asked.", required=True, allow_none=True)
    last_success_at = moment(
        "When it was last read, or last seen to be unchanged.", required=True, allow_none=True
    )
    last_error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why the last attempt failed; null when it did not.", "example": None},
    )


class MirrorStatusSchema(Output):
    """How complete and how fresh the mirror is."""

    state = fields.Enum(
        MirrorState,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "`empty`; `bootstrapping` while it is filled for the first time; `stale` when no news came for "
            "longer than NVD_STALE_AFTER; `degraded` when something is missing, not proven or failed; else `fresh`.",
            "example": "fresh",
        },
    )
    reasons = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "Why it is so, one sentence each.", "example": []},
    )
    snapshot = _count("The number of the last committed batch of changes.", 41)
    vulnerabilities = _count("CVE records, rejected ones included.", 134485)
    analysed = _count("Of these, those of which the NVD says what they affect.", 120000)
    unanalysed = _count("Of these, those of which it does not say so yet.", 12485)
    rejected = _count("Of these, those that were withdrawn.", 2000)
    quarantined = _count("Records that could not be used.", 0)
    quarantine = fields.List(
        fields.Nested(QuarantineSchema), required=True, metadata={"description": "The first 100 of them."}
    )
    criteria = _count("Distinct criteria: CPE match strings with their ranges.", 271000)
    newest_record_at = moment("When the NVD changed the newest record.", required=True, allow_none=True)
    age_seconds = fields.Float(
        required=True, allow_none=True, metadata={"description": "How long ago that is.", "example": 5400.0}
    )
    complete_until = moment(
        "Every change that the upstream dates before this is here.", required=True, allow_none=True
    )
    upstream_total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How many records the upstream said it has.", "example": 134485},
    )
    upstream_total_at = moment("When it said so.", required=True, allow_none=True)
    years = fields.List(
        fields.Nested(YearSchema), required=True, metadata={"description": "Vulnerabilities by year."}
    )
    last_sync = fields.Nested(
        SyncSchema,
        required=True,
        allow_none=True,
        metadata={"description": "The latest sync, running or not."},
    )
    last_success_at = moment("When a sync last completed.", required=True, allow_none=True)
    last_error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "The latest error, however long ago.", "example": None},
    )
    next_sync_at = moment(
        "When the timetable asks for the next sync; null where the NVD is not to be asked.",
        required=True,
        allow_none=True,
    )
    running = fields.Boolean(
        required=True, metadata={"description": "A sync is under way.", "example": False}
    )
    progress = fields.Nested(
        SyncProgressSchema,
        required=True,
        allow_none=True,
        metadata={"description": "Of the sync that is under way."},
    )
    kev = fields.Nested(
        SourceStatusSchema,
        required=True,
        metadata={"description": "CISA's catalogue of known exploited vulnerabilities."},
    )
    epss = fields.Nested(SourceStatusSchema, required=True, metadata={"description": "FIRST's EPSS scores."})
    attribution = fields.String(
        required=True,
        metadata={
            "description": "The notice that the NVD's terms want shown.",
            "example": "This product uses the NVD API but is not endorsed or certified by the NVD.",
        },
    )
