"""Handing messages over: one attempt of one delivery, or a test of a channel.

Nothing is held while talking to a receiver. The attempt is committed before and completed after: a worker that dies in between
leaves one of which nobody knows what came of it, and the repeat bears the same message id. Mail is not repeated from the moment
on at which the server may have it: `dispatch.hand_over` is committed just before.
"""

import datetime as dt
import time
import uuid
from collections.abc import Callable, Iterator

from sqlalchemy.orm import Session

from shared import database
from shared.destinations import Destinations
from shared.encryption import Cipher
from shared.errors import Permanent
from shared.lifecycle import dispatch
from shared.lifecycle.dispatch import Ended
from shared.models.base import Document
from shared.models.channel import Channel, ChannelKind
from shared.models.notification import DeliveryAttempt, Outcome
from shared.settings import Settings
from worker_service.clients import chat, smtp, webhook
from worker_service.clients.outbound import Answer, Outbound
from worker_service.clients.smtp import MailServer
from worker_service.handlers import messages
from worker_service.handlers.messages import Letter
from worker_service.tasks import Done, Effect, Work


def deliver(work: Work, delivery_id: str) -> Effect:
    """Attempt a delivery, if it is its time and its turn, and commit what came of it."""
    with work.transaction() as session:
        sending = dispatch.begin(session, uuid.UUID(delivery_id))
    if sending is None:
        return Done()
    time.sleep(sending.wait)
    digest = sending.delivery.order_key == dispatch.DIGEST
    letter = messages.letter(sending.delivery.message_id, sending.notifications, digest=digest)

    def before_end() -> None:
        with work.transaction() as session:
            dispatch.hand_over(session, sending)

    ended = _hand_over(work.settings, sending.channel, letter, sending.at, before_end)
    policy = dispatch.Policy(work.settings.retry_waits, work.settings.pause_after)

    def record(session: Session) -> Document:
        dispatch.record(session, sending, ended, policy)
        return {"outcome": ended.outcome.value}

    return record


def try_out(work: Work, channel_id: str, attempt_id: str) -> Effect:
    """Send a test message through a channel; what came of it becomes the attempt with this id.

    Raises Permanent when the channel was deleted.
    """
    attempt = uuid.UUID(attempt_id)
    with work.reading() as session:
        channel = session.get(Channel, uuid.UUID(channel_id))
        now = database.now(session)
    if channel is None:
        raise Permanent("The channel was deleted.")
    letter = messages.trial(f"msg_{attempt.hex}", channel.name, now)
    ended = _hand_over(work.settings, channel, letter, now, lambda: None)

    def record(session: Session) -> None:
        if session.get(Channel, channel.id, with_for_update={"read": True}) is None:
            raise Permanent("The channel was deleted.")
        row = DeliveryAttempt(id=attempt, channel_id=channel.id, started_at=now)
        dispatch.complete(row, ended)
        session.add(row)

    return record


def _hand_over(
    settings: Settings, channel: Channel, letter: Letter, now: dt.datetime, before_end: Callable[[], None]
) -> Ended:
    """Speak to the receiver once. What is wrong on our side (a lost key) is an attempt that may go better later."""
    try:
        answer = _send(settings, channel, letter, now, before_end)
    except Permanent as error:
        return Ended(Outcome.RETRY, None, None, error.detail)
    return Ended(
        Outcome(answer.outcome.value), answer.status, answer.seconds, answer.detail, answer.retry_after
    )


def _send(
    settings: Settings, channel: Channel, letter: Letter, now: dt.datetime, before_end: Callable[[], None]
) -> Answer:
    cipher = Cipher.of(settings)
    target = cipher.decrypt(channel.target)
    if channel.kind == ChannelKind.EMAIL:
        return smtp.send(MailServer.of(settings), target, letter.message, letter.message_id, before_end)
    outbound = Outbound(Destinations.of(settings))
    if channel.kind == ChannelKind.CHAT:
        return chat.send(outbound, target, letter.message)
    secrets = [cipher.decrypt(sealed) for sealed in _live_secrets(channel, now)]
    return webhook.send(outbound, target, letter.body, message_id=letter.message_id, secrets=secrets, now=now)


def _live_secrets(channel: Channel, now: dt.datetime) -> Iterator[bytes]:
    """What signs now, the newest first."""
    if channel.secret is not None:
        yield channel.secret
    until = channel.previous_secret_until
    if channel.previous_secret is not None and until is not None and now < until:
        yield channel.previous_secret
