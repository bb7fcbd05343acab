"""The transitions of a delivery: `pending -> delivered | failed`; a failed one can be redelivered (`failed -> pending`)."""

import datetime as dt

from shared.errors import Conflict
from shared.models.notification import Delivery, DeliveryState


def deliver(delivery: Delivery, now: dt.datetime) -> None:
    """The receiver has it. Raises Conflict unless it was pending."""
    if delivery.state != DeliveryState.PENDING:
        raise Conflict(f"The delivery is {delivery.state} already.")
    delivery.state = DeliveryState.DELIVERED
    delivery.attempts += 1
    delivery.ended_at = now
    delivery.error = None
