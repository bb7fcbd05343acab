"""`vedette db`: the database's schema, and the secrets in it."""

import click

from shared import database, migrations
from shared.database import make_engine
from shared.encryption import SETTING, Cipher
from shared.models.user import User
from shared.resealing import Resealed, reseal
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


@db.command("reseal")
@click.pass_context
def reseal_secrets(ctx: click.Context) -> None:
    """Seal users' secrets again under the newest key.

    Put a new key before the others in VEDETTE_SECRET_KEYS, restart every service, run this, and drop the old keys. It may run
    beside everything, and again. The exit code is 1 when a secret cannot be opened with any of the keys; it is left as it is.
    """
    settings = read_settings()
    engine = make_engine(settings.sqlalchemy_url)
    ctx.call_on_close(engine.dispose)
    sessions = database.make_sessions(engine)
    total = changed = 0
    unopened: list[Resealed] = []
    for each in reseal(sessions, Cipher.of(settings)):
        total += 1
        changed += each.changed
        if each.unopened:
            unopened.append(each)
    with database.reading(sessions) as session:
        for each in unopened:
            owner = session.get(User, each.channel.user_id)
            click.echo(
                f"channel {each.channel.id} ({each.channel.kind}, {each.channel.shown_target}) of "
                f"{owner.email if owner else 'nobody'}: no key opens its {' and '.join(each.unopened)}",
                err=True,
            )
    click.echo(
        f"{total} channels: {changed} sealed again, {len(unopened)} with secrets that cannot be opened"
    )
    if unopened:
        raise click.ClickException(f"keep the keys that you have, and bring back the missing one ({SETTING})")
