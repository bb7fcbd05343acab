"""`vedette db`: the database's schema."""

import click

from shared import migrations
from shared.database import make_engine
from shared.settings import read_settings


@click.group()
def db() -> None:
    """The database."""


@db.command()
def upgrade() -> None:
    """Bring the database's schema to what this version needs."""
    settings = read_settings()
    settings.make_data_dir()
    before = migrations.upgrade(make_engine(settings.sqlalchemy_url))
    after = migrations.head()
    change = "" if before == after else f" (was {before or 'empty'})"
    click.echo(f"database at revision {after}{change}", err=True)
