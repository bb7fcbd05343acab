"""Waiting, within a request, for a task to end."""

import time
import uuid

from api_service.context import parts, sessions
from api_service.services import tasks
from shared import database
from shared.models.task import Task

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 0.5


def wait_for_end(task_id: uuid.UUID, seconds: float) -> Task:
    """The task as it is when it has ended, or when the time is over; at once when half of the threads wait already.

    Raises NotFound.
    """
    deadline = time.monotonic() + seconds
    task = _look(task_id)
    if task.ended_at is not None or not seconds or not parts().long_lived.acquire(blocking=False):
        return task
    try:
        return _look_until_ended(task_id, deadline)
    finally:
        parts().long_lived.release()


def _look_until_ended(task_id: uuid.UUID, deadline: float) -> Task:
    pause = FIRST_PAUSE_SECONDS
    while True:
        task = _look(task_id)
        left = deadline - time.monotonic()
        if task.ended_at is not None or left <= 0:
            return task
        time.sleep(min(pause, left))
        pause = min(pause * 1.5, LONGEST_PAUSE_SECONDS)


def _look(task_id: uuid.UUID) -> Task:
    with database.reading(sessions()) as session:
        return tasks.get_task(session, task_id)
