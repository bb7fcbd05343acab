"""`vedette db reseal`: a key is changed without a gap."""

import uuid
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from pydantic import SecretStr
from sqlalchemy.orm import Session

from shared import database, resealing
from shared.cli import cli
from shared.encryption import SETTING, Cipher
from shared.models.channel import Channel, ChannelKind
from shared.settings import Settings
from tests.builders import SECRET, add_channel, add_user

OLD, NEW, LOST = "old-" * 10, "new-" * 10, "lost" * 10
URL = "https://hooks.example/x"

Run = Callable[[str], Result]


@pytest.fixture
def run(engine: sa.Engine) -> Run:
    """Runs the command with these keys."""

    def run(keys: str) -> Result:
        environment = {"DATABASE_URL": engine.url.render_as_string(hide_password=False), SETTING: keys}
        return CliRunner(env=environment).invoke(cli, ["db", "reseal"])

    return run


@pytest.fixture
def add(sessions: database.Sessions, settings: Settings) -> Callable[..., uuid.UUID]:
    """Adds a webhook that was sealed under a key, its former secret too."""

    def add(key: str, **values: object) -> uuid.UUID:
        sealing = settings.with_changes(secret_keys=SecretStr(key))
        former = {"previous_secret": Cipher.with_keys(key).encrypt(SECRET)}
        with database.transaction(sessions) as session:
            return add_channel(session, add_user(session).id, URL, sealing, **{**former, **values}).id

    return add


def rows(engine: sa.Engine) -> list[Channel]:
    with Session(engine) as session:
        return list(session.scalars(sa.select(Channel).order_by(Channel.id)))


def test_afterwards_the_new_key_is_enough(engine: sa.Engine, run: Run, add: Callable[..., uuid.UUID]) -> None:
    add(OLD)
    add(NEW)
    add(OLD, kind=ChannelKind.EMAIL, secret=None, previous_secret=None)
    ended = run(f"{NEW},{OLD}")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == "3 channels: 2 sealed again, 0 with secrets that cannot be opened\n"
    only_new = Cipher.with_keys(NEW)
    for row in rows(engine):
        assert only_new.decrypt(row.target) == URL
        for secret in (row.secret, row.previous_secret):
            assert secret is None or only_new.decrypt(secret) == SECRET


def test_a_second_time_changes_nothing(engine: sa.Engine, run: Run, add: Callable[..., uuid.UUID]) -> None:
    add(OLD)
    run(f"{NEW},{OLD}")
    before = [(row.target, row.secret) for row in rows(engine)]
    ended = run(f"{NEW},{OLD}")
    assert ended.stdout.startswith("1 channels: 0 sealed again")
    assert [(row.target, row.secret) for row in rows(engine)] == before


def test_what_no_key_opens_is_named_and_left_alone(
    engine: sa.Engine, run: Run, add: Callable[..., uuid.UUID]
) -> None:
    add(OLD)
    lost = add(LOST, secret=Cipher.with_keys(OLD).encrypt(SECRET))
    ended = run(f"{NEW},{OLD}")
    assert ended.exit_code == 1
    assert "2 channels: 2 sealed again, 1 with secrets that cannot be opened" in ended.stdout
    assert f"channel {lost} (webhook, …) of " in ended.stderr
    assert "no key opens its target and previous_secret" in ended.stderr
    for text in (LOST, OLD, NEW, SECRET, URL):
        assert text not in ended.output
    (row,) = (row for row in rows(engine) if row.id == lost)
    assert Cipher.with_keys(LOST).decrypt(row.target) == URL
    assert row.secret is not None
    assert Cipher.with_keys(NEW).decrypt(row.secret) == SECRET


@pytest.mark.parametrize("number", [6, 7])
def test_many_are_taken_in_batches(
    engine: sa.Engine, sessions: database.Sessions, settings: Settings, number: int
) -> None:
    with database.transaction(sessions) as session:
        user_id = add_user(session).id
        for _ in range(number):
            add_channel(session, user_id, URL, settings.with_changes(secret_keys=SecretStr(OLD)))
    done = list(resealing.reseal(sessions, Cipher.with_keys(NEW, OLD), batch=3))
    assert len({each.channel.id for each in done if each.changed}) == number
    assert all(Cipher.with_keys(NEW).decrypt(row.target) == URL for row in rows(engine))
