"""Server-sent events about one run, read from the database in short looks; no connection is held between two."""

import json
import select
import socket
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from api_service.schemas.scans import ScanStatusSchema
from api_service.services import scans
from api_service.services.scans import Status
from shared import database
from shared.database import Sessions

log = structlog.get_logger(__name__)

LOOK_SECONDS = 0.25
"""How often to look."""
HEARTBEAT_SECONDS = 10.0
"""A comment is sent after so much silence, so that proxies keep the connection."""


def follow(
    sessions: Sessions,
    first: Status,
    is_gone: Callable[[], bool] = lambda: False,
    sleep: Callable[[float], object] = time.sleep,
) -> Iterator[str]:
    """`progress` with the status whenever it changes, from `first` on, then `end`.

    Ends without `end` when the client `is_gone`, and when the database is away: a client then connects again. A run that is
    deleted just ends.
    """
    status: Status | None = first
    sent, sent_at = None, time.monotonic()
    yield "retry: 2000\n\n"
    while status is not None:
        if status != sent:
            yield _event("progress", ScanStatusSchema().dump(status))
            sent, sent_at = status, time.monotonic()
        if status.is_over or status.run_id is None:
            break
        if time.monotonic() - sent_at >= HEARTBEAT_SECONDS:
            yield ": still there\n\n"
            sent_at = time.monotonic()
        sleep(LOOK_SECONDS)
        if is_gone():
            return
        try:
            status = _look(sessions, status.run_id)
        except SQLAlchemyError as error:
            log.warning("event_stream_broken_off", error=str(error))
            return
    last = sent or first
    yield _event("end", {"scan_id": str(last.scan_id), "scan_status": last.scan_status})


def gone_check(environ: Mapping[str, Any]) -> Callable[[], bool]:
    """Tells whether the client of this request has hung up, where the server lets us see its socket.

    Without it that is noticed at the second write after, two heartbeats later, and its place stays taken until then.
    """
    client: socket.socket | None = environ.get("gunicorn.socket")
    if client is None:
        return lambda: False
    poll = select.poll()
    poll.register(client, select.POLLIN)

    def is_gone() -> bool:
        try:
            return bool(poll.poll(0)) and client.recv(1, socket.MSG_PEEK) == b""
        except OSError:
            return True

    return is_gone


def _look(sessions: Sessions, run_id: uuid.UUID) -> Status | None:
    with database.reading(sessions) as session:
        return scans.run_status(session, run_id)


def _event(name: str, data: dict[str, Any]) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
