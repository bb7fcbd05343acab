"""`vedette user` and `vedette token` on a database of their own."""

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from sqlalchemy.orm import Session

from shared.cli import cli
from shared.models.user import Role, User

PASSWORD = "correct horse battery staple"


@pytest.fixture
def run(sqlite_engine: sa.Engine):
    """Runs the command on an empty database."""

    def run(*arguments: str) -> Result:
        environment = {"DATABASE_URL": sqlite_engine.url.render_as_string(hide_password=False)}
        return CliRunner(env=environment).invoke(cli, arguments)

    return run


@pytest.mark.parametrize("role", list(Role))
def test_a_user_gets_the_role_that_the_documents_name(run, sqlite_engine: sa.Engine, role: Role) -> None:
    ended = run("user", "create", "ada@example.org", "--role", role.value, "--password", PASSWORD)
    assert ended.exit_code == 0, ended.output
    with Session(sqlite_engine) as session:
        assert session.scalars(sa.select(User.role).where(User.email == "ada@example.org")).one() is role


def test_a_token_is_printed_alone_on_standard_output(run) -> None:
    run("user", "create", "ada@example.org", "--password", PASSWORD)
    ended = run("token", "create", "ada@example.org")
    assert ended.exit_code == 0
    assert len(ended.stdout.split()) == 1


def test_a_token_for_nobody_is_an_error(run) -> None:
    assert run("token", "create", "nobody@example.org").exit_code != 0


def test_a_password_that_the_api_would_refuse_is_refused(run) -> None:
    ended = run("user", "create", "ada@example.org", "--password", "short")
    assert ended.exit_code == 1
    assert "12 to 200 characters" in ended.output
