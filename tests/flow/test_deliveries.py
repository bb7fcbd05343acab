"""Deliveries on the real parts; what kills and slow receivers do to them is in `tests/faults`."""

import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook

from api_service.app import create_app
from shared import credentials, database
from shared.models.notification import Delivery, DeliveryState
from shared.tasks import SEND_NOTIFICATION, ask
from tests.builders import add_user, wait_for
from tests.flow.test_tasks import on_sqlite
from tests.receivers.http import answer, receiving

ALLOWED = {"VEDETTE_ALLOWED_DESTINATIONS": "127.0.0.0/8:*"}


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


def send(sessions, user_id, number):
    with database.transaction(sessions) as session:
        ask(
            session,
            SEND_NOTIFICATION,
            user_id=str(user_id),
            notification_type="announcement",
            title=f"number {number}",
            message="",
            priority="normal",
            entity_type="scan",
            entity_id=str(number % 20),
        )


def count(sessions, *where):
    with database.reading(sessions) as session:
        query = (
            sa.select(sa.func.count()).select_from(Delivery).where(Delivery.channel_id.is_not(None), *where)
        )
        return session.scalar(query)


@on_sqlite
def test_a_test_asked_for_over_http_is_sent_by_a_worker_and_answered(
    sessions, settings, environment, receiver, worker
):
    """And what failed while the receiver was away is sent again for its range of time."""
    settings = settings.with_changes(
        redis_url=environment["REDIS_URL"], allowed_destinations=ALLOWED["VEDETTE_ALLOWED_DESTINATIONS"]
    )
    with database.transaction(sessions) as session:
        user = add_user(session)
        _, token = credentials.issue_token(session, user, "test")
    client = create_app(settings, sessions).test_client()

    def post(path, body=None):
        sent = {"Authorization": f"Bearer {token}"}
        return client.post(f"/api/v1{path}", json=body or {}, headers=sent)

    worker(**ALLOWED)
    made = post("/notification-channels", {"name": "x", "kind": "webhook", "target": receiver.url}).json
    receiver.faults = [answer(200), answer(404)]
    tested = post(f"/notification-channels/{made['id']}/test")
    if tested.status_code == 202:  # the worker needed longer to start than the API waits
        receiver.faults = [answer(200), answer(404)]
        tested = post(f"/notification-channels/{made['id']}/test")
    assert (tested.status_code, tested.json["outcome"], tested.json["status"]) == (200, "delivered", 200)
    Webhook(made["secret"]).verify(receiver.requests[-1].body, receiver.requests[-1].headers)
    send(sessions, user.id, 1)
    wait_for(lambda: count(sessions, Delivery.state == DeliveryState.FAILED) == 1)
    span = {"since": "2020-01-01T00:00:00Z", "until": "2100-01-01T00:00:00Z"}
    assert post("/deliveries/redeliver", span).json == {"redelivered": 1}
    wait_for(lambda: count(sessions, Delivery.state == DeliveryState.DELIVERED) == 1)
    failed, again = receiver.requests[-2:]
    assert failed.headers["webhook-id"] == again.headers["webhook-id"]
