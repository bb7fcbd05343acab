"""The transitions of a delivery; which attempt is made when is `shared.lifecycle.dispatch`'s business.

    pending ──> delivered
       │ ^
       v │ redelivered
      failed

The deliveries that a digest carries end, and are redelivered, with their carrier.
"""

import datetime as dt

import sqlalchemy as sa
from sqlalchemy.orm import Session

from shared.errors import Conflict
from shared.models.notification import Delivery, DeliveryState


def deliver(delivery: Delivery, now: dt.datetime) -> None:
    """The receiver has it. Raises Conflict unless it was pending."""
    if delivery.state != DeliveryState.PENDING:
        raise Conflict(f"The delivery is {delivery.state} already.")
    delivery.attempts += 1
    delivery.error = None
    _end(delivery, DeliveryState.DELIVERED, now)


def fail(delivery: Delivery, reason: str, now: dt.datetime) -> None:
    """It is given up. Raises Conflict unless it was pending."""
    if delivery.state != DeliveryState.PENDING:
        raise Conflict(f"The delivery is {delivery.state} already.")
    delivery.error = reason
    _end(delivery, DeliveryState.FAILED, now)


def redeliver(delivery: Delivery, now: dt.datetime) -> None:
    """It is tried again, with the whole schedule before it. Raises Conflict unless it failed."""
    if delivery.state != DeliveryState.FAILED:
        raise Conflict(f"Only a failed delivery can be redelivered; this one is {delivery.state}.")
    delivery.state = DeliveryState.PENDING
    delivery.step = 0
    delivery.run_after = now
    delivery.ended_at = None


def carry(session: Session, carrier: Delivery) -> None:
    """Bring what a digest carries to where its carrier is."""
    session.flush()
    session.execute(
        sa.update(Delivery)
        .where(Delivery.carrier_id == carrier.id)
        .values(state=carrier.state, error=carrier.error, ended_at=carrier.ended_at)
        .execution_options(synchronize_session=False)
    )


def _end(delivery: Delivery, state: DeliveryState, now: dt.datetime) -> None:
    delivery.state = state
    delivery.ended_at = now
    delivery.run_after = None
    delivery.waits = False
    delivery.digest_due = None
