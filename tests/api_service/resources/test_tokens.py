"""Signing in and tokens over HTTP."""

import concurrent.futures
import datetime as dt
import uuid

import pytest
import sqlalchemy as sa

from api_service.attempts import MAX_ATTEMPTS
from api_service.services import tokens
from shared import credentials, database
from shared.errors import Unauthorized
from shared.models.user import Role, Token, User

PASSWORD = "correct horse battery"


@pytest.fixture
def ada(caller):
    return caller(Role.ANALYST, "ada@example.org", PASSWORD)


def login(who, email="ada@example.org", password=PASSWORD):
    return who.post("/auth/login", {"email": email, "password": password})


@pytest.mark.usefixtures("ada")
def test_signing_in_gives_a_token_that_works(nobody):
    answer = login(nobody, email=" ADA@example.org")
    assert answer.status_code == 200
    assert answer.json["token"].startswith(credentials.TOKEN_PREFIX)
    assert answer.json["expires_at"] is not None
    nobody.token = answer.json["token"]
    assert nobody.get("/auth/tokens").json[0]["name"] == "login"


@pytest.mark.usefixtures("ada")
def test_every_wrong_sign_in_answers_alike(caller, admin, nobody):
    gone = caller(Role.VIEWER, "gone@example.org", PASSWORD)
    admin.patch(f"/users/{gone.user_id}", {"active": False})
    caller(Role.VIEWER, "tokens-only@example.org")
    wrong = (
        ("ada@example.org", "wrong"),
        ("nobody@example.org", PASSWORD),
        ("gone@example.org", PASSWORD),
        ("tokens-only@example.org", PASSWORD),
    )
    answers = [login(nobody, *each) for each in wrong]
    assert {answer.status_code for answer in answers} == {401}
    assert len({answer.json["detail"] for answer in answers}) == 1
    assert answers[0].headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.usefixtures("ada")
def test_too_many_attempts_are_429_until_they_are_old_even_with_the_right_password(nobody):
    for _ in range(MAX_ATTEMPTS):
        assert login(nobody, password="wrong").status_code == 401
    refused = login(nobody)
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert login(nobody, email="other@example.org").status_code == 401


@pytest.mark.usefixtures("ada")
def test_a_success_forgets_the_attempts_before_it(nobody):
    for _ in range(2):
        for _ in range(MAX_ATTEMPTS - 1):
            login(nobody, password="wrong")
        assert login(nobody).status_code == 200


@pytest.mark.usefixtures("ada")
def test_two_may_sign_in_at_once(app):
    def sign_in(_):
        body = {"email": "ada@example.org", "password": PASSWORD}
        return app.test_client().post("/api/v1/auth/login", json=body)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(sign_in, range(4)))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert len({answer.json["token"] for answer in answers}) == 4


def test_a_token_is_shown_once_and_kept_as_a_digest(viewer, sessions):
    made = viewer.post("/auth/tokens", {"name": "pipeline"})
    assert made.status_code == 201
    text = made.json["token"]
    assert text not in viewer.get("/auth/tokens").text
    with database.reading(sessions) as session:
        token = session.scalars(sa.select(Token).where(Token.name == "pipeline")).one()
    assert token.digest == credentials.digest(text)
    assert text.startswith(token.prefix)


def test_a_revoked_token_stops_at_once(viewer, nobody):
    made = viewer.post("/auth/tokens", {"name": "pipeline"}).json
    nobody.token = made["token"]
    assert nobody.get("/tasks").status_code == 200
    assert viewer.delete(f"/auth/tokens/{made['id']}").status_code == 204
    assert nobody.get("/tasks").status_code == 401
    assert viewer.delete(f"/auth/tokens/{made['id']}").status_code == 204


def test_only_the_owner_and_an_admin_revoke(viewer, analyst, admin):
    made = viewer.post("/auth/tokens", {"name": "pipeline"}).json
    assert analyst.delete(f"/auth/tokens/{made['id']}").status_code == 404
    assert analyst.get("/auth/tokens").json[0]["name"] == "test"
    assert admin.delete(f"/auth/tokens/{made['id']}").status_code == 204


def test_an_expired_token_is_refused(viewer, sessions):
    with database.transaction(sessions) as session:
        past = database.now(session) - dt.timedelta(seconds=1)
        session.execute(sa.update(Token).where(Token.user_id == viewer.user_id).values(expires_at=past))
    assert viewer.get("/tasks").status_code == 401


@pytest.mark.parametrize(
    "sent", ["", "Bearer", "Bearer ", "Basic eDp5", "Bearer vdt_wrong", "Bearer " + "x" * 5000, "Bearer \xff"]
)
def test_what_is_no_token_is_401(nobody, sent):
    answer = nobody.get("/tasks", headers={"Authorization": sent})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_use_is_noted_once_a_minute(viewer, sessions):
    def last_used():
        with database.reading(sessions) as session:
            return session.scalars(sa.select(Token).where(Token.user_id == viewer.user_id)).one().last_used_at

    assert last_used() is None
    viewer.get("/tasks")
    first = last_used()
    assert first is not None
    viewer.get("/tasks")
    assert last_used() == first
    with database.transaction(sessions) as session:
        session.execute(sa.update(Token).values(last_used_at=first - dt.timedelta(minutes=2)))
    viewer.get("/tasks")
    assert last_used() >= first


def test_a_new_password_ends_what_was_signed_in_but_no_personal_token(ada, admin, nobody):
    nobody.token = login(nobody).json["token"]
    admin.patch(f"/users/{ada.user_id}", {"password": "another long password"})
    assert nobody.get("/tasks").status_code == 401
    assert ada.get("/tasks").status_code == 200
    nobody.token = ""
    assert login(nobody).status_code == 401
    assert login(nobody, password="another long password").status_code == 200


def test_who_is_deleted_in_this_moment_gets_no_token(sessions):
    who = tokens.Principal(uuid.uuid4(), uuid.uuid4(), "gone@example.org", Role.VIEWER)
    with pytest.raises(Unauthorized), database.transaction(sessions) as session:
        tokens.create_token(session, who, name="late")


@pytest.mark.usefixtures("ada")
def test_a_password_changed_while_somebody_signs_in_wins(sessions):
    with database.reading(sessions) as session:
        account = tokens.find_account(session, "ada@example.org")
    account = tokens.check_password(account, PASSWORD)
    with database.transaction(sessions) as session:
        session.execute(sa.update(User).values(password_hash="another"))
    with pytest.raises(Unauthorized), database.transaction(sessions) as session:
        tokens.login(session, account, 1)
