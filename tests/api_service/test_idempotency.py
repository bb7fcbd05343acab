"""Idempotency-Key."""

import concurrent.futures
import threading

import pytest
import sqlalchemy as sa

from shared import database
from shared.models.idempotency import IdempotentAnswer
from shared.models.task import Task
from shared.models.user import Role, Token

MESSAGE = {"title": "Hello", "message": "There"}
KEY = {"Idempotency-Key": "0d6b3a5e"}


def count(sessions, model):
    with database.reading(sessions) as session:
        return session.scalar(sa.select(sa.func.count()).select_from(model))


def test_the_same_request_again_is_answered_the_same_and_does_nothing(admin, sessions, rung):
    first = admin.post("/notifications", MESSAGE, headers=KEY)
    again = admin.post("/notifications", MESSAGE, headers=KEY)
    assert (first.status_code, first.json, first.headers["Location"]) == (
        again.status_code,
        again.json,
        again.headers["Location"],
    )
    assert "Idempotency-Replayed" not in first.headers
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count(sessions, Task) == 1
    assert len(rung) == 1


def test_another_request_with_the_key_is_422(admin, sessions):
    admin.post("/notifications", MESSAGE, headers=KEY)
    assert admin.post("/notifications", {**MESSAGE, "title": "Other"}, headers=KEY).status_code == 422
    assert admin.post("/auth/tokens", {"name": "x"}, headers=KEY).status_code == 422
    assert count(sessions, Task) == 1


def test_keys_are_each_callers_own(admin, caller, sessions):
    admin.post("/notifications", MESSAGE, headers=KEY)
    other = caller(Role.ADMIN)
    assert "Idempotency-Replayed" not in other.post("/notifications", MESSAGE, headers=KEY).headers
    assert count(sessions, Task) == 2


def test_what_failed_may_be_tried_again_with_the_same_key(admin, sessions):
    wrong = {**MESSAGE, "user_id": "00000000-0000-4000-8000-000000000000"}
    assert admin.post("/notifications", wrong, headers=KEY).status_code == 404
    assert count(sessions, IdempotentAnswer) == 0
    assert admin.post("/notifications", MESSAGE, headers=KEY).status_code == 202


@pytest.mark.parametrize("key", ["", "x" * 201, "a b", "\xe9"])
def test_a_key_is_visible_ascii(admin, key):
    assert admin.post("/notifications", MESSAGE, headers={"Idempotency-Key": key}).status_code == 422


def test_requests_at_the_same_time_do_one_thing(admin, app, sessions):
    barrier = threading.Barrier(6)

    def send(_):
        client = app.test_client()
        headers = {"Authorization": f"Bearer {admin.token}", **KEY}
        barrier.wait()
        return client.post("/api/v1/notifications", json=MESSAGE, headers=headers)

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(send, range(6)))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json["task_id"] for answer in answers}) == 1
    assert sum("Idempotency-Replayed" in answer.headers for answer in answers) == 5
    assert count(sessions, Task) == 1


def test_a_new_token_is_not_kept_to_be_replayed(viewer, sessions):
    first = viewer.post("/auth/tokens", {"name": "pipeline"}, headers=KEY)
    again = viewer.post("/auth/tokens", {"name": "pipeline"}, headers=KEY)
    assert again.json == {**first.json, "token": None}
    with database.reading(sessions) as session:
        row = session.scalars(sa.select(IdempotentAnswer)).one()
        made = session.scalar(sa.select(sa.func.count()).where(Token.name == "pipeline"))
    assert first.json["token"] not in str(row.body)
    assert made == 1


def test_the_key_itself_is_not_kept(admin, sessions):
    admin.post("/notifications", MESSAGE, headers=KEY)
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(IdempotentAnswer)).one().key != KEY["Idempotency-Key"]
