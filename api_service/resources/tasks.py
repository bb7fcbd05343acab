"""The monitor: tasks, queues and dead letters."""

import dataclasses
import uuid
from typing import Any

import redis
from flask import Response

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import parts, sessions
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.resources.waiting import wait_for_end
from api_service.schemas.base import PageQuery
from api_service.schemas.tasks import DeadLetterSchema, QueueSchema, TaskQuery, TaskSchema, WaitQuery
from api_service.services import tasks
from shared import database, doorbell
from shared.errors import Conflict, Forbidden
from shared.models.task import Task
from shared.models.user import Role

blueprint = Blueprint("tasks", "Work under way, queues and dead letters.")


@blueprint.operation("GET", "/tasks", role=Role.VIEWER)
@blueprint.arguments(TaskQuery, location="query")
@blueprint.page(TaskSchema)
def list_tasks(query: dict[str, Any]) -> Page[Task]:
    """List tasks.

    Newest first. A task is kept for a day after its end.
    """
    with database.reading(sessions()) as session:
        return tasks.list_tasks(session, **query)


@blueprint.operation("GET", "/tasks/<uuid:task_id>", role=Role.VIEWER)
@blueprint.arguments(WaitQuery, location="query")
@blueprint.response(200, TaskSchema)
def get_task(query: dict[str, Any], task_id: uuid.UUID) -> Task:
    """Show a task.

    With `wait` the answer comes when the task has ended, or when the time is over. When half of the service's threads wait
    already, it comes at once.
    """
    return wait_for_end(task_id, query["wait"])


@blueprint.operation("POST", "/tasks/<uuid:task_id>/cancel", role=Role.ANALYST, raises=(Conflict, Forbidden))
@blueprint.response(200, TaskSchema)
def cancel_task(task_id: uuid.UUID) -> Task:
    """Cancel a task.

    One that waits is REVOKED at once and never runs; one that runs stops at its next checkpoint, at the latest after 30 s,
    and has no effect. Scans are everybody's to cancel, other work only who asked for it, and an admin.
    """
    with database.transaction(sessions()) as session:
        return tasks.cancel_task(session, principal(), task_id)


@blueprint.operation("GET", "/queues", role=Role.VIEWER)
@blueprint.response(200, QueueSchema(many=True), example=[QueueSchema.example()])
def list_queues() -> list[dict[str, Any]]:
    """Show the queues.

    What waits, is delayed, runs and is dead in each, and who works.
    """
    with database.reading(sessions()) as session:
        queues = tasks.list_queues(session)
    alive = _workers_alive()
    return [{**dataclasses.asdict(queue), "workers_alive": alive} for queue in queues]


def _workers_alive() -> int | None:
    try:
        return doorbell.workers_alive(parts().redis)
    except redis.RedisError:
        return None


@blueprint.operation("GET", "/queues/<queue>/dead", role=Role.ADMIN)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(DeadLetterSchema)
def list_dead(query: dict[str, Any], queue: str) -> Page[Task]:
    """List dead letters.

    The queue's tasks that failed for good, the latest first, with their arguments.
    """
    with database.reading(sessions()) as session:
        return tasks.list_dead(session, queue, **query)


@blueprint.operation(
    "POST",
    "/queues/<queue>/dead/<uuid:task_id>/requeue",
    role=Role.ADMIN,
    raises=(Conflict,),
    idempotent=True,
)
@blueprint.response(202, TaskSchema, headers={"Location": "LOCATION"})
def requeue(queue: str, task_id: uuid.UUID) -> Response:
    """Requeue a dead letter.

    The task waits again, with all its attempts before it.
    """
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            task = tasks.requeue(session, queue, task_id)
            return Answer(TaskSchema().dump(task), 202, f"{PREFIX}/tasks/{task.id}")

        return once(session, act)
