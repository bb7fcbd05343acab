"""Sealing again, under the newest key, what users entrusted to their channels: a step of changing the key."""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database
from shared.database import Sessions
from shared.encryption import Cipher
from shared.errors import Permanent
from shared.models.channel import Channel

SEALED = ("target", "secret", "previous_secret")
"""What is sealed of a channel."""
BATCH = 200
"""Channels of one transaction."""


@dataclass(frozen=True)
class Resealed:
    """What became of one channel."""

    channel: Channel
    changed: bool
    """Whether something was sealed again; what was sealed under the newest key already stays as it is."""
    unopened: tuple[str, ...]
    """What no key opens; it stays as it is."""


def reseal(sessions: Sessions, cipher: Cipher, batch: int = BATCH) -> Iterator[Resealed]:
    """Seal again what was sealed under another than the newest key, batch by batch, and say of each channel what came of it.

    It may be ended at any time and run again, beside all services.
    """
    last: uuid.UUID | None = None
    while True:
        with database.transaction(sessions) as session:
            done = [_reseal(channel, cipher) for channel in _next(session, last, batch)]
        yield from done
        if len(done) < batch:
            return
        last = done[-1].channel.id


def _next(session: Session, last: uuid.UUID | None, batch: int) -> list[Channel]:
    """The channels that follow, held: of what somebody writes meanwhile nothing is lost."""
    query = sa.select(Channel).order_by(Channel.id).limit(batch).with_for_update()
    if last is not None:
        query = query.where(Channel.id > last)
    return list(session.scalars(query))


def _reseal(channel: Channel, cipher: Cipher) -> Resealed:
    changed, unopened = False, []
    for name in SEALED:
        sealed = getattr(channel, name)
        if sealed is None or cipher.is_newest(sealed):
            continue
        try:
            setattr(channel, name, cipher.rotate(sealed))
            changed = True
        except Permanent:
            unopened.append(name)
    return Resealed(channel, changed, tuple(unopened))
