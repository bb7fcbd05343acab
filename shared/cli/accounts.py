"""`vedette user` and `vedette token`: accounts, straight in the database, for the first admin and for emergencies."""

import datetime as dt

import click
import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import credentials, database
from shared.database import Sessions
from shared.errors import NotFound
from shared.models.user import Role, User
from shared.settings import read_settings


def open_sessions() -> Sessions:
    """Sessions on the database that the settings name."""
    return database.make_sessions(database.make_engine(read_settings().sqlalchemy_url))


@click.group()
def user() -> None:
    """Users."""


@user.command("create")
@click.argument("email")
@click.option("--name", default="", help="Shown to others; the address if left out.")
@click.option(
    "--role", type=click.Choice([each.value for each in Role]), default=Role.VIEWER.value, show_default=True
)
@click.option(
    "--password", prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when left out."
)
def create_user(email: str, name: str, role: str, password: str) -> None:
    """Create a user who signs in with EMAIL."""
    least, most = credentials.PASSWORD_LENGTH
    if not least <= len(password) <= most:
        raise click.ClickException(f"a password has {least} to {most} characters")
    with database.transaction(open_sessions()) as session:
        created = credentials.create_user(
            session, email=email, name=name or email, role=Role(role), password=password
        )
    click.echo(f"created {created.role} {created.email}", err=True)


@click.group()
def token() -> None:
    """API tokens."""


@token.command("create")
@click.argument("email")
@click.option("--name", default="command line", show_default=True, help="What it is for.")
@click.option(
    "--days", type=click.IntRange(1, 3650), default=365, show_default=True, help="How long it lives."
)
def create_token(email: str, name: str, days: int) -> None:
    """Create an API token for the user EMAIL and print it, this once."""
    with database.transaction(open_sessions()) as session:
        expires_at = database.now(session) + dt.timedelta(days=days)
        secret = credentials.issue_token(session, _by_email(session, email), name, expires_at)[1]
    click.echo(secret)


def _by_email(session: Session, email: str) -> User:
    found = session.scalar(sa.select(User).where(User.email == credentials.normalise_email(email)))
    if found is None:
        raise NotFound(f"There is no user {email}.")
    return found
