"""No input makes a server error, and every answer is documented: a short version of what `schemathesis` shows at length.

Every operation that the OpenAPI document has is asked, with requests that fit it and with some that do not.
"""

import contextlib
import datetime as dt

import hypothesis
import pytest
import schemathesis
import sqlalchemy as sa
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api_service.app import create_app
from shared import credentials, database
from shared.database import make_engine, make_sessions
from shared.models.base import Base
from shared.models.user import Role, Token, User
from shared.settings import Settings
from tests.builders import prove

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
EXAMPLES = 6
TOKEN = "vdt_a_token_for_the_tests_only"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """An application of the module's own on SQLite, in which no request waits."""
    folder = tmp_path_factory.mktemp("openapi")
    settings = Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(
        data_dir=folder, redis_url="redis://127.0.0.1:1/0"
    )
    engine = make_engine(settings.sqlalchemy_url)
    Base.metadata.create_all(engine)
    sessions = make_sessions(engine)
    prove(sessions, dt.datetime(2026, 6, 18, tzinfo=dt.UTC))
    app = create_app(settings, sessions)
    while app.extensions["vedette"].long_lived.acquire(blocking=False):
        pass
    yield app, sessions
    engine.dispose()


@pytest.fixture(scope="module")
def document(served):
    return schemathesis.openapi.from_wsgi("/openapi.json", served[0])


def let_in(sessions):
    """Undo what the last request may have done to its own sender."""
    with database.transaction(sessions) as session:
        credentials.ensure_admin(session, TOKEN)
        session.execute(
            sa.update(User).where(User.email == credentials.ADMIN_EMAIL).values(role=Role.ADMIN, active=True)
        )
        session.execute(sa.update(Token).values(revoked_at=None, expires_at=None))


def _operations():
    """Method and path of every operation; the document needs no database."""
    app = create_app(Settings.model_construct(**Settings.model_construct().model_dump()))
    paths = app.test_client().get("/openapi.json").json["paths"]
    return [
        (method.upper(), path)
        for path, methods in paths.items()
        for method in methods
        if method != "parameters"
    ]


@pytest.mark.parametrize(("method", "path"), _operations())
@pytest.mark.parametrize(
    "mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["fitting", "unfitting"]
)
def test_every_answer_is_documented_and_none_is_a_server_error(method, path, mode, served, document):
    operation = document[path][method]

    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    @hypothesis.settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    def ask(case):
        let_in(served[1])
        plain = {"Accept-Encoding": "identity"}  # its client asks for gzip and does not unpack it
        answer = case.call(headers={"Authorization": f"Bearer {TOKEN}", **plain})
        if (path, answer.status_code) != ("/readyz", 503):  # the tables of this test come without migrations
            case.validate_response(answer, checks=CHECKS)

    with contextlib.suppress(hypothesis.errors.Unsatisfiable):  # every request to this operation fits
        ask()
