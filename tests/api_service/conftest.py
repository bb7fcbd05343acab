"""The application on real databases, and somebody of each role to ask it."""

import uuid
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from api_service.app import create_app
from shared import credentials, database
from shared.database import Sessions
from shared.models.user import Role, User
from shared.settings import Settings
from shared.tasks import Ring


class Caller:
    """Somebody with a token; `get("/users")` asks /api/v1/users."""

    def __init__(self, client: FlaskClient, token: str, user_id: uuid.UUID | None) -> None:
        self.client = client
        self.token = token
        self.user_id = user_id

    def ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **kwargs: Any
    ) -> TestResponse:
        sent = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        path = (
            path
            if path.startswith(("/api/", "/healthz", "/readyz", "/metrics", "/rest/", "/feeds/"))
            else f"/api/v1{path}"
        )
        return self.client.open(path, method=method, headers={**sent, **(headers or {})}, **kwargs)

    def get(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("GET", path, **kwargs)

    def post(self, path: str, json: Any = None, **kwargs: Any) -> TestResponse:
        return self.ask("POST", path, **(kwargs if json is None else {"json": json, **kwargs}))

    def put(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("PUT", path, **kwargs)

    def patch(self, path: str, json: Any, **kwargs: Any) -> TestResponse:
        return self.ask("PATCH", path, json=json, **kwargs)

    def delete(self, path: str, **kwargs: Any) -> TestResponse:
        return self.ask("DELETE", path, **kwargs)


@pytest.fixture
def rung() -> list[Ring]:
    """What was rung for."""
    return []


@pytest.fixture
def sessions(engine: sa.Engine, rung: list[Ring]) -> Sessions:
    """Sessions on each of the two databases in turn, whose doorbell only takes notes."""

    def ring(rings: Any) -> bool:
        rung.extend(rings)
        return True

    return database.make_sessions(engine, ring)


@pytest.fixture
def app(settings: Settings, sessions: Sessions) -> Flask:
    """The application; its Redis is away unless a test says otherwise."""
    return create_app(settings.with_changes(redis_url="redis://127.0.0.1:1/0"), sessions)


@pytest.fixture
def caller(app: Flask, sessions: Sessions) -> Callable[..., Caller]:
    """Makes a user with this role and a token."""

    def make(role: Role, email: str = "", password: str | None = None) -> Caller:
        email = email or f"{role}-{uuid.uuid4().hex[:8]}@example.org"
        with database.transaction(sessions) as session:
            user = credentials.create_user(session, email=email, name=str(role), role=role, password=password)
            _, token = credentials.issue_token(session, user, "test")
        return Caller(app.test_client(), token, user.id)

    return make


@pytest.fixture
def admin(caller: Callable[..., Caller]) -> Caller:
    return caller(Role.ADMIN)


@pytest.fixture
def analyst(caller: Callable[..., Caller]) -> Caller:
    return caller(Role.ANALYST)


@pytest.fixture
def viewer(caller: Callable[..., Caller]) -> Caller:
    return caller(Role.VIEWER)


@pytest.fixture
def nobody(app: Flask) -> Caller:
    """Somebody without a token."""
    return Caller(app.test_client(), "", None)


@pytest.fixture
def user_of(sessions: Sessions) -> Callable[[Caller], User]:
    """The row of a caller's user, as it is now."""

    def read(who: Caller) -> User:
        with database.reading(sessions) as session:
            return session.get_one(User, who.user_id)

    return read
