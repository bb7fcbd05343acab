"""Tasks and queues on the wire."""

from typing import Any

from marshmallow import fields, validate

from api_service.schemas.base import (
    EXAMPLE_ID,
    EXAMPLE_TIME,
    Input,
    Output,
    PageQuery,
    QueryNumber,
    identifier,
    moment,
)
from shared.models.task import TaskState
from shared.tasks import QUEUES

MAX_WAIT_SECONDS = 30


class TaskQuery(PageQuery):
    """Which tasks."""

    state = fields.Enum(TaskState, by_value=fields.String, metadata={"description": "Only in this state."})
    queue = fields.String(validate=validate.OneOf(QUEUES), metadata={"description": "Only of this queue."})
    name = fields.String(validate=validate.Length(1, 64), metadata={"description": "Only with this name."})


class WaitQuery(Input):
    """How long to wait."""

    wait = QueryNumber(
        load_default=0,
        validate=validate.Range(0, MAX_WAIT_SECONDS),
        metadata={"description": "Answer when the task has ended, at the latest after so many seconds."},
    )


class ProgressSchema(Output):
    """How far a task is."""

    stage = fields.String(
        required=True, allow_none=True, metadata={"description": "What it is doing.", "example": "matching"}
    )
    current = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How much of the stage is done.", "example": 420},
    )
    total = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "How much the stage is, if known.", "example": 903},
    )
    percent = fields.Integer(
        required=True, allow_none=True, metadata={"description": "Of the stage, 0 to 100.", "example": 46}
    )


class PastAttemptSchema(Output):
    """An attempt that did not end its task."""

    at = fields.String(
        required=True,
        metadata={"description": "When that was found.", "format": "date-time", "example": EXAMPLE_TIME},
    )
    worker = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Who worked on it.", "example": "worker-1:5f0c9a:24"},
    )
    attempt = fields.Integer(required=True, metadata={"description": "Which attempt.", "example": 1})
    what = fields.String(
        required=True,
        metadata={
            "description": "What came of it.",
            "example": "worker worker-1:5f0c9a:24 stopped answering",
        },
    )


class TaskSchema(Output):
    """A task."""

    id = identifier(required=True)
    name = fields.String(
        required=True, metadata={"description": "What work it is.", "example": "execute_vulnerability_scan"}
    )
    queue = fields.String(required=True, metadata={"description": "Where it waits.", "example": "scans"})
    priority = fields.Integer(
        required=True, metadata={"description": "Smaller is more urgent.", "example": 40}
    )
    state = fields.Enum(
        TaskState,
        by_value=fields.String,
        required=True,
        metadata={"description": "Where it stands.", "example": "PROGRESS"},
    )
    attempt = fields.Integer(
        required=True,
        metadata={"description": "How often it was begun, the present attempt included.", "example": 1},
    )
    losses = fields.Integer(
        required=True,
        metadata={
            "description": "How often it lost who worked on it: the tenth time is the end.",
            "example": 0,
        },
    )
    crashes = fields.Integer(
        required=True,
        metadata={
            "description": "How many of the losses were the crash of a process whose worker lived. After the second it is worked "
            "on in a process of its own, whose crash is the end.",
            "example": 0,
        },
    )
    history = fields.List(
        fields.Nested(PastAttemptSchema),
        required=True,
        metadata={
            "description": "The attempts that did not end it, the latest last, at most 20.",
            "example": [],
        },
    )
    progress = fields.Nested(ProgressSchema, required=True, metadata={"description": "How far it is."})
    result = fields.Dict(
        required=True,
        allow_none=True,
        metadata={"description": "What it gave, once it is done.", "example": None},
    )
    error = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why it, or its last attempt, failed.", "example": None},
    )
    asked_by = fields.UUID(
        required=True,
        allow_none=True,
        metadata={"description": "Whose request it serves.", "example": EXAMPLE_ID},
    )
    request_id = fields.String(
        required=True,
        allow_none=True,
        metadata={
            "description": "The `X-Request-Id` that it goes back to, through whatever asked for it; null when a schedule did.",
            "example": "3f0c9a52d1e64c0e9c1a7f3f0b8f2f6a",
        },
    )
    created_at = moment("When it was asked for.", required=True)
    run_after = moment("Not before this.", required=True)
    started_at = moment("When its present or last attempt began.", required=True, allow_none=True)
    ended_at = moment("When it ended.", required=True, allow_none=True)
    cancel_requested_at = moment("When somebody asked it to stop.", required=True, allow_none=True)

    def get_attribute(self, obj: Any, attr: str, default: Any) -> Any:
        """Take progress from the task itself, whose row is flat."""
        return obj if attr == "progress" else super().get_attribute(obj, attr, default)


class DeadLetterSchema(TaskSchema):
    """A task that failed for good, with what it was asked to do."""

    arguments = fields.Dict(
        required=True, metadata={"description": "What it was asked to do.", "example": {"run_id": EXAMPLE_ID}}
    )


class AcceptedSchema(Output):
    """Work that was asked for."""

    task_id = fields.UUID(
        required=True,
        metadata={
            "description": "The task that does it; `Location` is where to follow it.",
            "example": EXAMPLE_ID,
        },
    )


class QueueSchema(Output):
    """How a queue stands."""

    queue = fields.String(required=True, metadata={"description": "Its name.", "example": "scans"})
    waiting = fields.Integer(required=True, metadata={"description": "Tasks that are due.", "example": 3})
    delayed = fields.Integer(
        required=True, metadata={"description": "Tasks between two attempts, or not due yet.", "example": 1}
    )
    running = fields.Integer(required=True, metadata={"description": "Tasks being worked on.", "example": 4})
    dead = fields.Integer(
        required=True, metadata={"description": "Tasks that failed for good.", "example": 0}
    )
    oldest_pending_seconds = fields.Float(
        required=True,
        allow_none=True,
        metadata={
            "description": "How long the oldest due task has waited; null when none is due.",
            "example": 1.4,
        },
    )
    workers_busy = fields.Integer(
        required=True, metadata={"description": "Workers with a task of this queue.", "example": 1}
    )
    ended_last_minute = fields.Integer(
        required=True,
        metadata={"description": "Tasks that ended, whichever way, in the last 60 s.", "example": 12},
    )
    workers_alive = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "Worker processes, of whatever queue, that showed a sign of life in the last 10 s; null while "
            "Redis is away.",
            "example": 2,
        },
    )
