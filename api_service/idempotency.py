"""`Idempotency-Key`: a POST that is sent again answers what it answered, and does nothing twice."""

import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from flask import Response, jsonify, request
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from api_service.auth import principal
from shared import database
from shared.errors import Invalid, Unauthorized
from shared.models.idempotency import IdempotentAnswer

_KEY = re.compile(r"[!-~]{1,200}")


class Answer(NamedTuple):
    """What a POST answers."""

    body: dict[str, Any]
    status: int = 201
    location: str | None = None
    hidden: frozenset[str] = frozenset()
    """Fields that are shown once: a replayed answer has null there, since secrets are not kept."""


def once(session: Session, act: Callable[[], Answer]) -> Response:
    """Do `act` and answer it, or answer what this key's first request answered.

    The answer is stored in the transaction of its effect. The key's row is written before acting: a second request with
    the same key, sent at the same time, waits there until the first is committed or rolled back.
    """
    key = request.headers.get("Idempotency-Key")
    if key is None:
        return _respond(act())
    if not _KEY.fullmatch(key):
        raise Invalid("Idempotency-Key must be 1 to 200 visible ASCII characters.")
    row = _new_row(session, key)
    try:
        with session.begin_nested():
            session.add(row)
    except IntegrityError:
        return _replay(session, row)
    answer = act()
    row.status, row.location = answer.status, answer.location
    row.body = {name: None if name in answer.hidden else value for name, value in answer.body.items()}
    session.flush()
    return _respond(answer)


def _new_row(session: Session, key: str) -> IdempotentAnswer:
    """The row of this request. The key is kept as a digest and salts the fingerprint: a body may hold a password, which
    nobody who reads the row can then guess at.
    """
    what = b"\n".join((request.method.encode(), request.full_path.encode(), request.get_data(cache=True)))
    return IdempotentAnswer(
        user_id=principal().user_id,
        key=hashlib.sha256(key.encode()).hexdigest(),
        fingerprint=hmac.new(key.encode(), what, hashlib.sha256).hexdigest(),
        status=0,
        body={},
        created_at=database.now(session),
    )


def _replay(session: Session, row: IdempotentAnswer) -> Response:
    stored = session.get(IdempotentAnswer, (row.user_id, row.key))
    if stored is None:  # what the row lacks is its user, who was deleted in this moment
        raise Unauthorized("The token is wrong, expired or revoked.")
    if stored.fingerprint != row.fingerprint:
        raise Invalid("This Idempotency-Key was used for another request.")
    response = _respond(Answer(stored.body, stored.status, stored.location))
    response.headers["Idempotency-Replayed"] = "true"
    return response


def _respond(answer: Answer) -> Response:
    response = jsonify(answer.body)
    response.status_code = answer.status
    if answer.location:
        response.headers["Location"] = answer.location
    return response
