"""Which delivery is attempted when: the rules between a notification and its receivers.

Each attempt is one task (`deliver_notification`), and every wait is a task row with `run_after`. A task may run any number of
times; what is to be done it decides anew from the delivery's row, holding the channel's:

* of one channel and one entity, a later message waits for the end of the earlier one that is due;
* a channel that is not active is not spoken to, and one whose receiver asked for patience not before it is over;
* otherwise `begin` commits an attempt, the message is handed over with nothing held, and `record` commits what came of it
  together with the task's end. A worker that is killed in between leaves an attempt that is `lost`; the repeat bears the
  same message id;
* a mail is not repeated once it was about to be ended (`hand_over`): people do not drop what they got twice.

Tasks take a lane of their destination as `lock_key`: no more than LANES of all threads are ever busy with one receiver. What
goes to a receiver that failed the last time comes after all that goes to others, however urgent, so that several that keep
threads waiting take only what nobody else needs.
"""

import datetime as dt
import hashlib
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared import database, preferences
from shared.errors import LeaseLost
from shared.lifecycle import channel as channel_lifecycle
from shared.lifecycle import delivery as lifecycle
from shared.models.channel import Channel, ChannelKind, ChannelState
from shared.models.notification import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Notification,
    Outcome,
    Priority,
)
from shared.models.task import Task, TaskState
from shared.models.user import User
from shared.preferences import Decision
from shared.tasks import DELIVER_NOTIFICATION, URGENCY, Asking, ask

RETRY_SECONDS = (5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0)
"""Waits between the attempts, unless the setting says otherwise."""
JITTER = 0.05
"""The largest part of a wait that chance adds to it."""
LONGEST_PATIENCE = 86_400.0
"""Seconds of `Retry-After` that are honoured; a receiver that asks for more is asked again after these."""
LANES = 2
"""How many messages to one destination may be on their way at once."""
SPACING = {ChannelKind.WEBHOOK: 0.02, ChannelKind.EMAIL: 0.1, ChannelKind.CHAT: 1.0}
"""Seconds between two attempts through one channel: chat services take about one message a second."""
FAILING_AFTER = 100
"""Added to the task priority of what goes through a channel whose last attempt failed."""
SHORT_WAIT = 2.0
"""Seconds that a worker waits for its turn; for longer ones the task is put off."""
UNANSWERED = (
    "Nobody knows whether the mail server took it: the worker ended before it heard. "
    "It is not sent twice; send it again if you miss it."
)
"""Why a mail is given up whose worker ended between the end of the message and the record of the server's answer."""
DIGEST = "digest"
"""The order key of digests: they go out one after the other."""


@dataclass(frozen=True)
class Sending:
    """An attempt that was begun."""

    attempt_id: uuid.UUID
    delivery: Delivery
    channel: Channel
    notifications: Sequence[Notification]
    """What the message holds, the oldest first: one, or all of a digest."""
    at: dt.datetime
    """When it is this attempt's turn, by the database's clock."""
    wait: float
    """Seconds until then."""


@dataclass(frozen=True)
class Ended:
    """What came of an attempt."""

    outcome: Outcome
    status: int | None
    seconds: float | None
    detail: str
    retry_after: float | None = None


@dataclass(frozen=True)
class Policy:
    """How long to go on."""

    retry_seconds: Sequence[float] = RETRY_SECONDS
    pause_after: dt.timedelta = dt.timedelta(days=3)


def fan_out(session: Session, notification: Notification) -> int:
    """Send a new notification through its user's channels, as their preferences want it; through how many."""
    active = sa.exists().where(User.id == Channel.user_id, User.active.is_(True))
    channels = session.scalars(
        sa.select(Channel)
        .where(Channel.user_id == notification.user_id, Channel.state != ChannelState.DISABLED, active)
        .order_by(Channel.id)
        .with_for_update(of=Channel)
        .execution_options(populate_existing=True)
    ).all()
    sent = 0
    for channel in channels:
        # The clock is read behind the channel's lock: a digest whose time has come collects nothing more.
        now = database.now(session)
        decision = preferences.decide(preferences.rules_of(channel), notification, now)
        if isinstance(decision, Decision):
            _add(session, channel, notification, decision, now)
            sent += 1
    return sent


def _add(
    session: Session, channel: Channel, notification: Notification, decision: Decision, now: dt.datetime
) -> None:
    entity = f"{notification.entity_type}:{notification.entity_id}" if notification.entity_id else None
    added = Delivery(
        id=uuid.uuid4(),
        notification_id=notification.id,
        channel=channel.kind,
        channel_id=channel.id,
        state=DeliveryState.PENDING,
        attempts=0,
        step=0,
        due_at=decision.due_at,
        waits=False,
        order_key=DIGEST if decision.digest else entity,
    )
    added.created_at = _after_earlier_ones(session, added, now)
    session.add(added)
    if decision.digest:
        added.carrier_id = session.scalar(
            sa.select(Delivery.id).where(
                Delivery.channel_id == channel.id, Delivery.digest_due == decision.due_at
            )
        )
    if added.carrier_id is None:
        added.digest_due = decision.due_at if decision.digest else None
        _attempt_at(session, channel, added, decision.due_at, notification.priority)
    session.flush()


def _after_earlier_ones(session: Session, added: Delivery, now: dt.datetime) -> dt.datetime:
    """Now, or a moment later than what stands before it: a clock may tell the same time twice."""
    if added.order_key is None:
        return now
    latest = session.scalar(sa.select(sa.func.max(Delivery.created_at)).where(*_queue(added)))
    return now if latest is None else max(now, latest + dt.timedelta(microseconds=1))


def begin(session: Session, delivery_id: uuid.UUID) -> Sending | None:
    """Begin an attempt; None when none is to be made now: whoever takes away what stands before it asks again."""
    channel_id = session.scalar(sa.select(Delivery.channel_id).where(Delivery.id == delivery_id))
    channel = channel_lifecycle.lock(session, channel_id) if channel_id else None
    delivery = _lock(session, delivery_id) if channel else None
    if channel is None or delivery is None:
        return None  # deleted
    now = database.now(session)
    if delivery.state != DeliveryState.PENDING or delivery.run_after is None or delivery.run_after > now:
        return None  # done, or not its time: then another task stands for it
    if _close_lost(session, delivery, "its worker ended"):
        _end_failed(session, channel, delivery, UNANSWERED, now)
        return None
    if channel.state != ChannelState.ACTIVE or _stands_behind(session, delivery):
        delivery.waits = True
        return None
    if not session.get_one(User, channel.user_id).active:
        _end_failed(session, channel, delivery, "The account is deactivated.", now)
        return None
    turn = max(now, channel.next_attempt_at or now)
    if (wait := (turn - now).total_seconds()) > SHORT_WAIT:
        _attempt_at(session, channel, delivery, turn)
        return None
    channel.next_attempt_at = turn + dt.timedelta(seconds=SPACING[channel.kind])
    attempt = DeliveryAttempt(
        id=uuid.uuid4(), channel_id=channel.id, delivery_id=delivery.id, started_at=turn
    )
    session.add(attempt)
    session.flush()
    return Sending(attempt.id, delivery, channel, _notifications(session, delivery), turn, wait)


def hand_over(session: Session, sending: Sending) -> None:
    """Note that from the end of this transaction on nobody but the receiver knows whether it has the message.

    Raises LeaseLost when the attempt was closed, or its channel deleted, meanwhile: then nothing must be handed over.
    """
    delivery = _lock(session, sending.delivery.id)
    attempt = session.get(DeliveryAttempt, sending.attempt_id)
    if delivery is None or attempt is None or attempt.outcome is not None:
        raise LeaseLost(f"attempt {sending.attempt_id} is no longer under way")
    attempt.handing_over_at = database.now(session)


def record(session: Session, sending: Sending, ended: Ended, policy: Policy) -> None:
    """Note what came of an attempt, and what follows: its end, or a task for the next one."""
    channel = channel_lifecycle.lock(session, sending.channel.id)
    delivery = _lock(session, sending.delivery.id)
    attempt = session.get(DeliveryAttempt, sending.attempt_id)
    if channel is None or delivery is None or attempt is None:
        return  # deleted meanwhile
    now = database.now(session)
    complete(attempt, ended)
    if ended.retry_after is not None:
        patience = dt.timedelta(seconds=min(ended.retry_after, LONGEST_PATIENCE))
        channel.next_attempt_at = max(now + patience, channel.next_attempt_at or now)
    if ended.outcome == Outcome.DELIVERED:
        channel_lifecycle.succeeded(channel)
        _end_delivered(session, channel, delivery, now)
        return
    delivery.attempts += 1
    if ended.outcome == Outcome.GONE:
        _disable(session, channel, ended.detail, now)
        return
    channel_lifecycle.failed(session, channel, ended.detail, now, policy.pause_after)
    if delivery.state == DeliveryState.PENDING:
        if ended.outcome == Outcome.REFUSED:
            _end_failed(session, channel, delivery, ended.detail, now)
        else:
            _try_later(session, channel, delivery, ended, policy, now)


def complete(attempt: DeliveryAttempt, ended: Ended) -> None:
    """Write what came of an attempt into its row."""
    attempt.seconds, attempt.status = ended.seconds, ended.status
    attempt.outcome, attempt.detail = ended.outcome, ended.detail


def redeliver(session: Session, channel: Channel, delivery: Delivery) -> None:
    """Try a failed delivery again (the caller holds its channel), with its whole digest. Raises Conflict unless it failed."""
    now = database.now(session)
    lifecycle.redeliver(delivery, now)
    lifecycle.carry(session, delivery)
    _attempt_at(session, channel, delivery, now)


def wake(session: Session, channel: Channel) -> int:
    """Ask again for what waited for the channel (the caller holds it); how many."""
    waiting = session.scalars(
        sa.select(Delivery)
        .where(Delivery.channel_id == channel.id, Delivery.state == DeliveryState.PENDING, Delivery.waits)
        .order_by(Delivery.due_at, Delivery.created_at, Delivery.id)
        .with_for_update()
    ).all()
    now = database.now(session)
    for each in waiting:
        _attempt_at(session, channel, each, now)
    return len(waiting)


def follow(session: Session, task: Task) -> None:
    """Let a delivery go on when the task of an attempt was given up: its worker died again and again, or it could not begin.

    A task that was cancelled ends its delivery.
    """
    if task.state not in (TaskState.FAILURE, TaskState.REVOKED):
        return
    delivery_id = uuid.UUID(task.arguments["delivery_id"])
    channel_id = session.scalar(sa.select(Delivery.channel_id).where(Delivery.id == delivery_id))
    channel = channel_lifecycle.lock(session, channel_id) if channel_id else None
    delivery = _lock(session, delivery_id) if channel else None
    if channel is None or delivery is None or delivery.state != DeliveryState.PENDING:
        return
    now = database.now(session)
    reason = task.error or "unknown"
    if _close_lost(session, delivery, reason):
        _end_failed(session, channel, delivery, UNANSWERED, now)
    elif task.state == TaskState.REVOKED:
        _end_failed(session, channel, delivery, "It was cancelled.", now)
    else:
        _try_later(session, channel, delivery, Ended(Outcome.LOST, None, None, reason), Policy(), now)


def _try_later(
    session: Session, channel: Channel, delivery: Delivery, ended: Ended, policy: Policy, now: dt.datetime
) -> None:
    delivery.error = ended.detail
    if delivery.step >= len(policy.retry_seconds):
        _end_failed(
            session, channel, delivery, f"{ended.detail} Given up after {delivery.step + 1} attempts.", now
        )
        return
    seconds = max(policy.retry_seconds[delivery.step], min(ended.retry_after or 0.0, LONGEST_PATIENCE))
    seconds *= 1 + random.uniform(0, JITTER)  # noqa: S311  # spreading load, no secret
    delivery.step += 1
    _attempt_at(session, channel, delivery, now + dt.timedelta(seconds=seconds))


def _attempt_at(
    session: Session,
    channel: Channel,
    delivery: Delivery,
    moment: dt.datetime,
    priority: Priority | None = None,
) -> None:
    """Ask for an attempt at `moment`."""
    delivery.run_after = moment
    delivery.waits = False
    if priority is None:
        priority = session.scalar(
            sa.select(Notification.priority).where(Notification.id == delivery.notification_id)
        )
    urgency = URGENCY[priority or Priority.NORMAL]
    how = Asking(
        priority=urgency if channel.failing_since is None else urgency + FAILING_AFTER,
        run_after=moment,
        lock_key=_lane(channel, delivery),
        asked_by=channel.user_id,
    )
    ask(session, DELIVER_NOTIFICATION, how, delivery_id=str(delivery.id))


def _lane(channel: Channel, delivery: Delivery) -> str:
    """The lock of an attempt; what must keep its order shares a lane, so it never meets in the first place."""
    destination = hashlib.blake2b(channel.destination.encode(), digest_size=16).hexdigest()
    order = f"{channel.id}{delivery.order_key or delivery.id}"
    number = hashlib.blake2b(order.encode(), digest_size=1).digest()[0] % LANES
    return f"destination:{destination}:{number}"


def _lock(session: Session, delivery_id: uuid.UUID) -> Delivery | None:
    return session.scalar(
        sa.select(Delivery)
        .where(Delivery.id == delivery_id)
        .with_for_update()
        .execution_options(populate_existing=True)
    )


def _queue(delivery: Delivery) -> tuple[sa.ColumnElement[bool], ...]:
    """The pending deliveries that keep their order with this one."""
    return (
        Delivery.channel_id == delivery.channel_id,
        Delivery.order_key == delivery.order_key,
        Delivery.state == DeliveryState.PENDING,
        Delivery.carrier_id.is_(None),
        Delivery.id != delivery.id,
    )


def _stands_behind(session: Session, delivery: Delivery) -> bool:
    if delivery.order_key is None:
        return False
    same_due = Delivery.due_at == delivery.due_at
    earlier = sa.or_(
        Delivery.due_at < delivery.due_at,
        sa.and_(same_due, Delivery.created_at < delivery.created_at),
        sa.and_(same_due, Delivery.created_at == delivery.created_at, Delivery.id < delivery.id),
    )
    return session.scalar(sa.select(Delivery.id).where(*_queue(delivery), earlier).limit(1)) is not None


def _wake_next(session: Session, channel: Channel, delivery: Delivery, now: dt.datetime) -> None:
    """Ask for the delivery that waited for this one's end, if any."""
    if delivery.order_key is None:
        return
    session.flush()
    following = session.scalar(
        sa.select(Delivery)
        .where(*_queue(delivery), Delivery.waits)
        .order_by(Delivery.due_at, Delivery.created_at, Delivery.id)
        .limit(1)
        .with_for_update()
    )
    if following is not None:
        _attempt_at(session, channel, following, now)


def _close_lost(session: Session, delivery: Delivery, why: str) -> bool:
    """Say of attempts that were begun and never recorded that nobody knows what came of them.

    Whether one of them was handing over, so that a repeat might be a second copy.
    """
    lost = session.scalars(
        sa.select(DeliveryAttempt).where(
            DeliveryAttempt.delivery_id == delivery.id, DeliveryAttempt.outcome.is_(None)
        )
    ).all()
    handing_over = [attempt for attempt in lost if attempt.handing_over_at is not None]
    for attempt in lost:
        detail = f"Nobody knows what came of it ({why}): the receiver may have the message."
        complete(attempt, Ended(Outcome.LOST, None, None, UNANSWERED if attempt in handing_over else detail))
    delivery.attempts += len(lost)
    return bool(handing_over)


def _end_delivered(session: Session, channel: Channel, delivery: Delivery, now: dt.datetime) -> None:
    if delivery.state == DeliveryState.FAILED:
        delivery.state = DeliveryState.PENDING  # given up while it was on its way; yet it arrived
    lifecycle.deliver(delivery, now)
    lifecycle.carry(session, delivery)
    _wake_next(session, channel, delivery, now)


def _end_failed(
    session: Session, channel: Channel, delivery: Delivery, reason: str, now: dt.datetime
) -> None:
    lifecycle.fail(delivery, reason, now)
    lifecycle.carry(session, delivery)
    _wake_next(session, channel, delivery, now)


def _disable(session: Session, channel: Channel, reason: str, now: dt.datetime) -> None:
    """Give up the channel, and all that is on its way through it."""
    channel_lifecycle.disable(session, channel, reason, now)
    pending = session.scalars(
        sa.select(Delivery)
        .where(Delivery.channel_id == channel.id, Delivery.state == DeliveryState.PENDING)
        .with_for_update()
    ).all()
    for each in pending:
        lifecycle.fail(each, reason, now)


def _notifications(session: Session, delivery: Delivery) -> Sequence[Notification]:
    """What the message of a delivery holds."""
    carried = sa.select(Delivery.notification_id).where(
        sa.or_(Delivery.id == delivery.id, Delivery.carrier_id == delivery.id)
    )
    return session.scalars(
        sa.select(Notification)
        .where(Notification.id.in_(carried))
        .order_by(Notification.created_at, Notification.id)
    ).all()
