"""Scans and their runs on the wire."""

from typing import Any

from marshmallow import fields, validate

from api_service.schemas.base import (
    EXAMPLE_ID,
    Flag,
    Input,
    Output,
    PageQuery,
    Schema,
    identifier,
    moment,
    not_blank,
)
from shared.models.scan import RunStatus, ScannerKind, Trigger
from shared.models.task import TaskState
from shared.nmap.options import MAX_TARGETS, Technique, Timing
from shared.nmap.ports import MAX_TEXT as MAX_PORTS_TEXT
from shared.targets import MAX_TEXT as MAX_TARGET_TEXT

STATUSES = ["pending", *(status.value for status in RunStatus)]
"""A scan's status: its latest run's, `pending` before the first."""

EXAMPLE_NETWORK = {
    "up": 2,
    "down": 1,
    "unfinished": 0,
    "opened": 1,
    "closed": 0,
    "reason": None,
    "names": {"down": ["127.0.0.9"], "unfinished": [], "opened": ["127.0.0.2 22/tcp"], "closed": []},
}
"""What a network run looked at."""


def _name(**kwargs: Any) -> fields.String:
    return fields.String(
        validate=not_blank(200),
        metadata={"description": "What to call it.", "example": "web shop, weekly"},
        **kwargs,
    )


def _scanner(**kwargs: Any) -> fields.Enum[ScannerKind]:
    return fields.Enum(
        ScannerKind,
        by_value=fields.String,
        metadata={
            "description": "`sbom` scans the asset's document, `inventory` its list, `network` what answers at the targets "
            "in `options`. Whichever it is, the asset's whole inventory is matched.",
            "example": "sbom",
        },
        **kwargs,
    )


class NetworkOptions(Input):
    """What a network scan looks at, and how."""

    targets = fields.List(
        fields.String(validate=validate.Length(1, MAX_TARGET_TEXT)),
        validate=validate.Length(max=MAX_TARGETS),
        metadata={
            "description": "Addresses, CIDR blocks, ranges (`192.0.2.10-20`) and host names, all within "
            "`VEDETTE_SCAN_ALLOWED_TARGETS`. Without any, what was last put to `/assets/{id}/nmap` is matched again.",
            "example": ["127.0.0.1"],
        },
    )
    ports = fields.String(
        validate=validate.Length(1, MAX_PORTS_TEXT),
        metadata={
            "description": "`top-100` (the default), any `top-N` up to 1000, or a list such as `22,80,8000-8100`.",
            "example": "top-100",
        },
    )
    timing = fields.String(
        validate=validate.OneOf(list(Timing)),
        metadata={"description": "How fast; `normal` unless told otherwise.", "example": "normal"},
    )
    technique = fields.String(
        validate=validate.OneOf(list(Technique)),
        metadata={
            "description": "`connect` (the default), or `syn` where the worker may use raw sockets.",
            "example": "connect",
        },
    )
    udp = Flag(
        metadata={
            "description": "Try the same ports by UDP as well, where the worker may use raw sockets.",
            "example": False,
        }
    )
    os = Flag(
        metadata={
            "description": "Guess the operating system, where the worker may use raw sockets.",
            "example": False,
        }
    )
    assume_up = Flag(
        metadata={"description": "Look at hosts that give no sign of life, too.", "example": False}
    )


def _options(**kwargs: Any) -> fields.Nested:
    return fields.Nested(
        NetworkOptions,
        metadata={"description": "Of the scanner `network`; the others take none.", "example": {}},
        **kwargs,
    )


class ScheduleInput(Input):
    """When to run by itself."""

    cron = fields.String(
        required=True,
        validate=validate.Length(1, 100),
        metadata={
            "description": "A cron expression: minute, hour, day, month, weekday.",
            "example": "30 4 * * 1",
        },
    )
    timezone = fields.String(
        load_default="UTC",
        validate=validate.Length(1, 64),
        metadata={
            "description": "The time zone it is meant in, by its IANA name.",
            "example": "Europe/Berlin",
        },
    )


class ScanCreate(Input):
    """A scan to define."""

    name = _name(required=True)
    asset_id = fields.UUID(required=True, metadata={"description": "What to scan.", "example": EXAMPLE_ID})
    scanner = _scanner(required=True)
    options = _options(load_default=dict)
    schedule = fields.Nested(
        ScheduleInput,
        load_default=None,
        allow_none=True,
        metadata={"description": "When to run by itself; null for never."},
    )


SCAN_EXAMPLES = {
    "sbom": {"summary": "An SBOM, every Monday", "value": ScanCreate.example()},
    "network": {
        "summary": "A network, every Sunday night",
        "value": {
            "name": "office network, weekly",
            "asset_id": EXAMPLE_ID,
            "scanner": "network",
            "options": {"targets": ["127.0.0.1"], "ports": "22,80,443"},
            "schedule": {"cron": "0 3 * * 0", "timezone": "Europe/Berlin"},
        },
    },
}
"""What a scan to define may look like."""


class ScanChange(Input):
    """What to change of a scan; what is left out stays."""

    name = _name()
    scanner = _scanner()
    options = _options()
    schedule = fields.Nested(
        ScheduleInput,
        allow_none=True,
        metadata={"description": "When to run by itself; null for never."},
    )


class ScanQuery(PageQuery):
    """Which scans."""

    asset_id = fields.UUID(metadata={"description": "Only of this asset."})
    status = fields.String(
        validate=validate.OneOf(STATUSES), metadata={"description": "Only with this status."}
    )
    name = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Only those of exactly this name."}
    )
    q = fields.String(
        validate=validate.Length(1, 200), metadata={"description": "Only with this text in the name."}
    )


class ScheduleSchema(Schema):
    """When a scan runs by itself."""

    cron = fields.String(
        required=True, metadata={"description": "The cron expression.", "example": "30 4 * * 1"}
    )
    timezone = fields.String(
        required=True, metadata={"description": "Its time zone.", "example": "Europe/Berlin"}
    )


class ScanSchema(Output):
    """The definition of a scan."""

    id = identifier(required=True)
    name = _name(required=True)
    asset_id = identifier("What it scans.", required=True)
    scanner = _scanner(required=True)
    options = fields.Dict(
        required=True,
        metadata={"description": "Of the scanner `network`, as they were given.", "example": {}},
    )
    schedule = fields.Nested(
        ScheduleSchema,
        required=True,
        allow_none=True,
        metadata={"description": "When it runs by itself; null for never."},
    )
    next_run_at = moment("When its schedule is due next.", required=True, allow_none=True)
    status = fields.String(
        required=True,
        validate=validate.OneOf(STATUSES),
        metadata={
            "description": "Of its latest run; `pending` before the first.",
            "example": "completed",
        },
    )
    latest_run_id = identifier("Its latest run.", required=True, allow_none=True)
    created_by = identifier("Who defined it; null when they are gone.", required=True, allow_none=True)
    created_at = moment("When it was defined.", required=True)
    updated_at = moment("When its definition last changed.", required=True)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Put the schedule together: the row has it flat."""
        if attr == "schedule":
            return None if obj.cron is None else {"cron": obj.cron, "timezone": obj.timezone}
        return super().get_attribute(obj, attr, default)


class StartedSchema(Output):
    """A run that was asked for."""

    id = identifier("The scan.", required=True)
    name = _name(required=True)
    status = fields.String(
        required=True, metadata={"description": "Of the scan from now on.", "example": "queued"}
    )
    task_id = identifier("The task that does it; `Location` is where to follow it.", required=True)
    run_id = identifier("The run.", required=True)


class CancelledSchema(Output):
    """A run that was asked to stop."""

    scan_id = identifier("The scan.", required=True)
    status = fields.String(
        required=True,
        metadata={
            "description": "`cancelled` when nobody worked on it, otherwise `cancelling`: it ends within 30 s.",
            "example": "cancelling",
        },
    )


class TaskInfoSchema(Output):
    """How far the run is."""

    stage = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "`collecting`, `scanning`, `matching` or `recording`.",
            "example": "matching",
        },
    )
    current = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Done of this stage.", "example": 1200}
    )
    total = fields.Integer(
        required=True, allow_none=True, metadata={"description": "What this stage holds.", "example": 3400}
    )
    percent = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Of this stage; 100 once it is completed.", "example": 35},
    )


class ScanStatusSchema(Output):
    """How a scan stands; all parts were seen at one moment."""

    scan_id = identifier("The scan.", required=True)
    scan_status = fields.String(
        required=True,
        validate=validate.OneOf(STATUSES),
        metadata={"description": "Of its latest run; `pending` before the first.", "example": "running"},
    )
    run_id = identifier("Its latest run.", required=True, allow_none=True)
    task_id = identifier("The task of that run.", required=True, allow_none=True)
    task_state = fields.Enum(
        TaskState,
        by_value=fields.String,
        required=True,
        allow_none=True,
        metadata={"description": "Where the task stands.", "example": "PROGRESS"},
    )
    task_info = fields.Nested(
        TaskInfoSchema, required=True, metadata={"description": "How far it is; nulls before it begins."}
    )


class RunSchema(Output):
    """One execution of a scan."""

    id = identifier(required=True)
    scan_id = identifier("Its scan.", required=True)
    status = fields.Enum(
        RunStatus,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where it stands.", "example": "completed"},
    )
    trigger = fields.Enum(
        Trigger,
        by_value=fields.String,
        required=True,
        metadata={
            "description": "Somebody, its schedule, or news in the mirror that concern its asset.",
            "example": "manual",
        },
    )
    task_id = identifier("Its task; kept for a day after its end.", required=True)
    requested_by = identifier(
        "Who started it, or made the scan that something else started, and is told when it ends.",
        required=True,
        allow_none=True,
    )
    snapshot = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "The snapshot of the mirror that it used.", "example": 41},
    )
    counts = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "What a completed run found and changed.",
            "example": {
                "components": 903,
                "findings": 36,
                "new": 3,
                "reopened": 0,
                "fixed": 1,
                "retracted": 0,
                "unknown": 0,
                "none": 0,
                "low": 5,
                "medium": 20,
                "high": 9,
                "critical": 2,
            },
        },
    )
    network = fields.Dict(
        required=True,
        allow_none=True,
        metadata={
            "description": "What a completed run of the scanner `network` looked at: how many hosts were `up`, gave no sign "
            "of life (`down`) or were not looked at to the end (`unfinished`, with the `reason`), how many ports `opened` and "
            "`closed` since the last time, and the first 1,000 of each by name. null for other runs.",
            "example": EXAMPLE_NETWORK,
        },
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it, or its last attempt, failed.", "example": None},
    )
    created_at = moment("When it was asked for.", required=True)
    started_at = moment("When a worker first took it.", required=True, allow_none=True)
    ended_at = moment("When it ended.", required=True, allow_none=True)


STATUS_EVENT = (
    "event: progress\n"
    f'data: {{"scan_id": "{EXAMPLE_ID}", "scan_status": "running", "run_id": "{EXAMPLE_ID}", '
    f'"task_id": "{EXAMPLE_ID}", "task_state": "PROGRESS", '
    '"task_info": {"stage": "matching", "current": 1200, "total": 3400, "percent": 35}}\n\n'
)
"""An example of an event stream's event."""
