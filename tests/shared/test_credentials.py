"""Passwords, tokens and the first admin."""

import concurrent.futures
import threading

import pytest
import sqlalchemy as sa

from shared import credentials, database
from shared.errors import Conflict
from shared.models.user import Role, Token, User

TOKEN = "vdt_a_token_for_the_tests_only"


def test_a_password_is_verified_by_its_argon2id_hash():
    kept = credentials.hash_password("correct horse battery")
    assert kept.startswith("$argon2id$")
    assert credentials.verify_password(kept, "correct horse battery")
    assert not credentials.verify_password(kept, "wrong")
    assert not credentials.verify_password(None, "wrong")


def test_tokens_are_random_and_recognisable():
    made = {credentials.new_token() for _ in range(100)}
    assert len(made) == 100
    assert all(token.startswith("vdt_") and len(token) >= 40 for token in made)


def test_an_address_is_taken_in_any_case(sessions):
    with database.transaction(sessions) as session:
        credentials.create_user(session, email=" Ada@Example.org", name="Ada", role=Role.VIEWER)
        with pytest.raises(Conflict):
            credentials.create_user(session, email="ada@example.ORG", name="Ada", role=Role.VIEWER)
        assert session.scalars(sa.select(User.email)).all() == ["ada@example.org"]


def ensure(sessions, text=TOKEN):
    with database.transaction(sessions) as session:
        return credentials.ensure_admin(session, text)


def test_the_first_admin_is_made_once(sessions):
    assert ensure(sessions).id == ensure(sessions).id
    with database.reading(sessions) as session:
        assert session.scalars(sa.select(User.role)).all() == [Role.ADMIN]


def test_processes_that_start_at_once_make_one_admin(sessions):
    barrier = threading.Barrier(4)

    def start(_):
        barrier.wait()
        return ensure(sessions).id

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(start, range(4)))) == 1
    with database.reading(sessions) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(User)) == 1
        assert session.scalar(sa.select(sa.func.count()).select_from(Token)) == 1


def test_another_value_revokes_the_earlier_and_what_was_revoked_stays_so(sessions):
    first = ensure(sessions)
    second = ensure(sessions, TOKEN + "_new")
    again = ensure(sessions)
    with database.reading(sessions) as session:
        assert session.get_one(Token, first.id).revoked_at is not None
        assert session.get_one(Token, second.id).revoked_at is None
    assert again.id == first.id
