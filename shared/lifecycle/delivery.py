"""The transitions of a delivery: `pending -> delivered | failed`, and `failed -> pending` when it is redelivered."""

import datetime as dt

from shared.errors import Conflict
from shared.models.notification import Delivery, DeliveryState


def deliver(delivery: Delivery, now: dt.datetime) -> None:
    """The receiver has it."""
    _leave(delivery, DeliveryState.PENDING)
    delivery.state = DeliveryState.DELIVERED
    delivery.attempts += 1
    delivery.ended_at = now
    delivery.error = None


def _leave(delivery: Delivery, state: DeliveryState) -> None:
    if delivery.state != state:
        raise Conflict(f"The delivery is {delivery.state}, not {state}.")
