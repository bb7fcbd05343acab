"""Deliveries of one's own notifications: what went out, what came of it, and sending again what failed."""

import datetime as dt
import uuid

import sqlalchemy as sa
from sqlalchemy.orm import Session, joinedload, selectinload

from api_service.paging import Page, PageRequest, fetch
from api_service.services.tokens import Principal
from shared.errors import Conflict, NotFound
from shared.lifecycle import channel as channel_lifecycle
from shared.lifecycle import dispatch
from shared.models.channel import Channel, ChannelState
from shared.models.notification import Delivery, DeliveryState, Notification

MAX_REDELIVERED = 1000
"""Messages of one channel that one request sends again."""


def list_deliveries(  # noqa: PLR0913  # the filters of the list
    session: Session,
    who: Principal,
    *,
    page: PageRequest,
    state: DeliveryState | None = None,
    channel: str | None = None,
    channel_id: uuid.UUID | None = None,
    notification_id: uuid.UUID | None = None,
    since: dt.datetime | None = None,
    until: dt.datetime | None = None,
) -> Page[Delivery]:
    """Deliveries of the caller's notifications, newest first, with their attempts."""
    statement = _own(who).options(selectinload(Delivery.tries), joinedload(Delivery.notification))
    for column, value in (
        (Delivery.state, state),
        (Delivery.channel, channel),
        (Delivery.channel_id, channel_id),
        (Delivery.notification_id, notification_id),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if since is not None:
        statement = statement.where(Delivery.created_at >= since)
    if until is not None:
        statement = statement.where(Delivery.created_at < until)
    return fetch(session, statement.order_by(Delivery.created_at.desc(), Delivery.id), page)


def redeliver(session: Session, who: Principal, delivery_id: uuid.UUID) -> Delivery:
    """Send a failed delivery again, with the whole digest that it is part of.

    Raises NotFound, for somebody else's too, and Conflict unless it failed and its channel is not disabled.
    """
    found = session.scalar(_own(who).where(Delivery.id == delivery_id))
    if found is None:
        raise NotFound("There is no such delivery.")
    channel = channel_lifecycle.lock(session, found.channel_id) if found.channel_id else None
    if channel is None:
        raise Conflict("What is told in the application is there already.")
    if channel.state == ChannelState.DISABLED:
        raise Conflict("The channel is disabled; resume it first.")
    for carrier in _locked(session, [found.carrier_id or found.id]):
        dispatch.redeliver(session, channel, carrier)
    return session.scalars(
        sa.select(Delivery)
        .where(Delivery.id == delivery_id)
        .options(selectinload(Delivery.tries), joinedload(Delivery.notification))
        .execution_options(populate_existing=True)
    ).one()


def redeliver_all(
    session: Session,
    who: Principal,
    *,
    since: dt.datetime,
    until: dt.datetime,
    channel_id: uuid.UUID | None = None,
) -> int:
    """Send again what was made from `since` until before `until` and failed, in its order; how many messages.

    The oldest MAX_REDELIVERED of each channel; channels that are disabled are passed over. Raises NotFound for a channel that
    is not the caller's.
    """
    channels = sa.select(Channel.id).where(Channel.user_id == who.user_id)
    if channel_id is not None:
        channels = channels.where(Channel.id == channel_id)
    ids = session.scalars(channels.order_by(Channel.id)).all()
    if channel_id is not None and not ids:
        raise NotFound("There is no such channel.")
    number = 0
    for each in ids:
        channel = channel_lifecycle.lock(session, each)
        if channel is None or channel.state == ChannelState.DISABLED:
            continue
        message = sa.func.coalesce(Delivery.carrier_id, Delivery.id)
        failed = sa.select(message).where(
            Delivery.channel_id == each,
            Delivery.state == DeliveryState.FAILED,
            Delivery.created_at >= since,
            Delivery.created_at < until,
        )
        oldest = failed.group_by(message).order_by(sa.func.min(Delivery.created_at)).limit(MAX_REDELIVERED)
        again = set(session.scalars(oldest))
        for delivery in _locked(session, again):
            dispatch.redeliver(session, channel, delivery)
            number += 1
    return number


def _own(who: Principal) -> sa.Select[Delivery]:
    return (
        sa.select(Delivery)
        .join(Notification, Delivery.notification_id == Notification.id)
        .where(Notification.user_id == who.user_id)
    )


def _locked(session: Session, ids: "set[uuid.UUID] | list[uuid.UUID]") -> list[Delivery]:
    """The deliveries as they are now, held for this transaction, in their order."""
    found: list[Delivery] = []
    wanted = sorted(ids)
    for start in range(0, len(wanted), 500):
        found += session.scalars(
            sa.select(Delivery)
            .where(Delivery.id.in_(wanted[start : start + 500]))
            .with_for_update()
            .execution_options(populate_existing=True)
        )
    return sorted(found, key=lambda each: (each.due_at, each.created_at, each.id))
