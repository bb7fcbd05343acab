"""Deliveries on the real parts: workers that are killed, receivers that are slow. `make faults` has the large figures."""

import random
import time
from collections import defaultdict

import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook

from api_service.app import create_app
from shared import credentials, database
from shared.models.notification import Delivery, DeliveryAttempt, DeliveryState, Notification
from shared.tasks import SEND_NOTIFICATION, ask
from tests.builders import SECRET, add_channel, add_user, wait_for
from tests.flow.test_tasks import on_sqlite
from tests.receivers.http import answer, receiving, trickle

MANY = 40
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


def test_workers_that_are_killed_lose_and_double_nothing(sessions, settings, receiver, worker, scheduler):
    """Each message arrives, every copy of it bears the same id and says the same, and nothing is told twice in the app."""
    chance = random.Random(5)
    receiver.always = lambda connection, stopped: (time.sleep(0.03), answer(200)(connection, stopped))
    with database.transaction(sessions) as session:
        user_id = add_user(session).id
        add_channel(session, user_id, receiver.url, settings)
    scheduler(**ALLOWED)
    current = worker(**ALLOWED)
    for number in range(MANY):
        send(sessions, user_id, number)
    for part in range(1, 3):
        wait_for(lambda n=part: count(sessions, Delivery.state == DeliveryState.DELIVERED) >= n * MANY // 4)
        time.sleep(chance.uniform(0, 0.2))
        current.kill()
        current = worker(**ALLOWED)
    wait_for(lambda: count(sessions, Delivery.state == DeliveryState.DELIVERED) == MANY, 150)
    copies = defaultdict(set)
    for request in receiver.requests:
        Webhook(SECRET).verify(request.body, request.headers)
        copies[request.headers["webhook-id"]].add(request.body)
    assert len(copies) == MANY
    assert all(len(bodies) == 1 for bodies in copies.values())
    with database.reading(sessions) as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(Notification)) == MANY
        open_ones = sa.select(sa.func.count()).where(DeliveryAttempt.outcome.is_(None))
        assert session.scalar(open_ones) == 0
        ids = {
            row.message_id
            for row in session.scalars(sa.select(Delivery).where(Delivery.channel_id.is_not(None)))
        }
    assert ids == set(copies)


@on_sqlite
def test_a_receiver_that_trickles_delays_no_other(sessions, settings, receiver, worker, scheduler):
    receiver.always = trickle("HTTP/1.1 200 OK\r\n", "X-Drop: y\r\n")
    with database.transaction(sessions) as session:
        slow, quick = add_user(session).id, add_user(session).id
        add_channel(session, slow, receiver.url, settings)
    with receiving() as healthy:
        with database.transaction(sessions) as session:
            add_channel(session, quick, healthy.url, settings)
        scheduler(**ALLOWED)
        worker(**ALLOWED)
        for number in range(10):
            send(sessions, slow, number)
        wait_for(lambda: len(receiver.requests) >= 2)
        waits = []
        for number in range(10):
            began = time.monotonic()
            send(sessions, quick, number)
            wait_for(lambda n=number: len(healthy.requests) > n)
            waits.append(time.monotonic() - began)
        assert len(receiver.requests) <= 4, "no more than two of its messages at a time"
    assert sorted(waits)[8] < 5, waits


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
