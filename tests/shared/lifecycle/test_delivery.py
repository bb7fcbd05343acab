import datetime as dt

import pytest

from shared.errors import Conflict
from shared.lifecycle import delivery as lifecycle
from shared.models.notification import Delivery, DeliveryState

NOW = dt.datetime(2026, 7, 1, tzinfo=dt.UTC)


def test_delivering_ends_it():
    delivery = Delivery(state=DeliveryState.PENDING, attempts=1, error="timed out")
    lifecycle.deliver(delivery, NOW)
    assert (delivery.state, delivery.attempts, delivery.ended_at, delivery.error) == (
        DeliveryState.DELIVERED,
        2,
        NOW,
        None,
    )


@pytest.mark.parametrize("state", [DeliveryState.DELIVERED, DeliveryState.FAILED])
def test_what_has_ended_cannot_be_delivered(state):
    delivery = Delivery(state=state, attempts=1)
    with pytest.raises(Conflict, match=state):
        lifecycle.deliver(delivery, NOW)
    assert delivery.attempts == 1
