"""Channels, each its owner's own: where and when they want to be told beside the application."""

import datetime as dt
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from api_service.paging import Page, PageRequest, fetch
from api_service.services.tokens import Principal
from shared import database, preferences
from shared.destinations import Destinations, check_mail_address, host_of, port_of, split_url
from shared.encryption import Cipher
from shared.errors import Conflict, NotFound, Unauthorized
from shared.lifecycle import channel as lifecycle
from shared.lifecycle import dispatch
from shared.models.channel import Channel, ChannelKind, ChannelState
from shared.models.notification import DeliveryAttempt
from shared.models.user import User
from shared.signatures import new_secret
from shared.tasks import TEST_NOTIFICATION_CHANNEL, Asking, ask

MAX_CHANNELS = 20
"""How many channels one user may have."""
OLD_SECRET_LIVES = dt.timedelta(hours=24)
"""How long the secret before the present one still signs."""
SMTP = "smtp"
"""The destination of all mail: the operator's server."""


@dataclass(frozen=True)
class Vault:
    """What writing a channel needs to know of this installation."""

    cipher: Cipher
    destinations: Destinations


def create_channel(
    session: Session, who: Principal, vault: Vault, values: Mapping[str, Any]
) -> tuple[Channel, str | None]:
    """Add a channel of the caller's; its row and, for a webhook, the secret, which nobody can read again.

    Raises Invalid for a target that may not be spoken to and for preferences that cannot be used, and Conflict when the
    caller has too many.
    """
    _lock_owner(session, who)
    number = session.scalar(
        sa.select(sa.func.count()).select_from(Channel).where(Channel.user_id == who.user_id)
    )
    if (number or 0) >= MAX_CHANNELS:
        raise Conflict(f"You have {MAX_CHANNELS} channels already; delete one first.")
    now = database.now(session)
    channel = Channel(
        id=uuid.uuid4(),
        user_id=who.user_id,
        kind=values["kind"],
        state=ChannelState.ACTIVE,
        state_since=now,
        created_at=now,
    )
    secret = None
    if channel.kind == ChannelKind.WEBHOOK:
        secret = new_secret()
        channel.secret = vault.cipher.encrypt(secret)
    _change(channel, vault, values, now)
    session.add(channel)
    session.flush()
    return channel, secret


def list_channels(session: Session, who: Principal, *, page: PageRequest) -> Page[Channel]:
    """The caller's channels, newest first."""
    statement = sa.select(Channel).where(Channel.user_id == who.user_id)
    return fetch(session, statement.order_by(Channel.created_at.desc(), Channel.id), page)


def get_channel(session: Session, who: Principal, channel_id: uuid.UUID) -> Channel:
    """One of the caller's channels. Raises NotFound, for somebody else's too."""
    channel = session.get(Channel, channel_id)
    if channel is None or channel.user_id != who.user_id:
        raise _missing()
    return channel


def change_channel(
    session: Session, who: Principal, vault: Vault, channel_id: uuid.UUID, values: Mapping[str, Any]
) -> Channel:
    """Change a channel; what is on its way keeps the time that it has. Raises NotFound, and Invalid as `create_channel`."""
    channel = _held(session, who, channel_id)
    _change(channel, vault, values, database.now(session))
    session.flush()
    return channel


def delete_channel(session: Session, who: Principal, channel_id: uuid.UUID) -> None:
    """Delete a channel with its deliveries. Raises NotFound."""
    session.delete(_held(session, who, channel_id))
    session.flush()


def rotate_secret(
    session: Session, who: Principal, vault: Vault, channel_id: uuid.UUID
) -> tuple[Channel, str]:
    """Give a webhook a new secret; the one before signs beside it for a day.

    Raises NotFound, and Conflict for a channel that signs nothing.
    """
    channel = _held(session, who, channel_id)
    if channel.kind != ChannelKind.WEBHOOK:
        raise Conflict(f"Only webhooks are signed; this is a channel of the kind {channel.kind}.")
    now = database.now(session)
    secret = new_secret()
    channel.previous_secret, channel.secret = channel.secret, vault.cipher.encrypt(secret)
    channel.previous_secret_until = now + OLD_SECRET_LIVES
    channel.updated_at = now
    session.flush()
    return channel, secret


def resume_channel(session: Session, who: Principal, channel_id: uuid.UUID) -> Channel:
    """Use a paused or disabled channel again; what waited for it goes out. Raises NotFound, and Conflict when it is active."""
    channel = _held(session, who, channel_id)
    lifecycle.resume(channel, database.now(session))
    dispatch.wake(session, channel)
    session.flush()
    return channel


def ask_for_test(session: Session, who: Principal, channel_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    """Ask for a test message to be sent now, whatever the channel's state; the ids of the task and of the attempt to be.

    One at a time for each user. Raises NotFound.
    """
    channel = get_channel(session, who, channel_id)
    attempt_id = uuid.uuid4()
    how = Asking(lock_key=f"channel_test:{who.user_id}", asked_by=who.user_id)
    task_id = ask(
        session, TEST_NOTIFICATION_CHANNEL, how, channel_id=str(channel.id), attempt_id=str(attempt_id)
    )
    return task_id, attempt_id


def find_attempt(session: Session, attempt_id: uuid.UUID) -> DeliveryAttempt | None:
    """The attempt, once it was made; None before."""
    return session.get(DeliveryAttempt, attempt_id)


def _change(channel: Channel, vault: Vault, values: Mapping[str, Any], now: dt.datetime) -> None:
    for name in ("name", "min_priority", "types", "quiet_hours", "digest"):
        if name in values:
            setattr(channel, name, values[name])
    preferences.make_rules(channel.min_priority, channel.types, channel.quiet_hours, channel.digest)
    if "target" in values:
        _set_target(channel, vault, values["target"])
    channel.updated_at = now


def _set_target(channel: Channel, vault: Vault, target: str) -> None:
    if channel.kind == ChannelKind.EMAIL:
        check_mail_address(target)
        channel.shown_target = target
        channel.destination = SMTP
    else:
        vault.destinations.check_url(target)
        parts = split_url(target)
        host = host_of(parts)
        shown = f"[{host}]" if ":" in host else host
        channel.destination = f"{shown}:{port_of(parts)}"
        channel.shown_target = f"{parts.scheme}://{shown if parts.port is None else channel.destination}/…"
    channel.target = vault.cipher.encrypt(target)


def _lock_owner(session: Session, who: Principal) -> None:
    """Hold the caller's row: of two who add at once, the second counts the first one's."""
    if session.scalar(sa.select(User.id).where(User.id == who.user_id).with_for_update()) is None:
        raise Unauthorized("The token is wrong, expired or revoked.")


def _held(session: Session, who: Principal, channel_id: uuid.UUID) -> Channel:
    channel = lifecycle.lock(session, channel_id)
    if channel is None or channel.user_id != who.user_id:
        raise _missing()
    return channel


def _missing() -> NotFound:
    return NotFound("There is no such channel.")
