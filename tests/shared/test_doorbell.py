import socket
import threading
import time
import uuid

import dramatiq
import pytest
import redis

from shared import doorbell
from shared.tasks import QUEUES, Ring

RING = Ring(uuid.uuid4(), "cleanup_old_notifications", "default")


@pytest.fixture
def client(redis_url):
    client = doorbell.connect(redis_url, 5.0)
    client.flushall()
    yield client
    client.close()


def test_a_ring_is_a_message_that_names_the_task(redis_url, client):
    assert doorbell.open_doorbell(redis_url)([RING])
    assert doorbell.waiting(client, "default") == 1
    (data,) = client.hvals("dramatiq:default.msgs")
    message = dramatiq.Message.decode(data)
    assert (message.message_id, message.actor_name, message.args) == (
        str(RING.task_id),
        RING.name,
        (str(RING.task_id),),
    )


def test_who_only_rings_is_no_worker(redis_url, client):
    doorbell.open_doorbell(redis_url)([RING])
    assert doorbell.workers_alive(client) == 0


def test_the_broker_knows_the_queues_of_the_contract(redis_url):
    assert doorbell.make_broker(redis_url, timeout=1.0).get_declared_queues() == set(QUEUES)


def test_no_more_is_taken_from_a_queue_than_may_be_worked_on_at_once(redis_url, client):
    broker = doorbell.make_broker(redis_url, timeout=1.0, at_once={"scans": 2})
    for queue in ("scans", "default"):
        doorbell.make_ringer(broker)([Ring(uuid.uuid4(), "any", queue) for _ in range(4)])
    taken = {}
    for queue in ("scans", "default"):
        consumer = broker.consume(queue, prefetch=4, timeout=1)
        taken[queue] = [message for message in (next(consumer) for _ in range(6)) if message]
    assert {queue: len(messages) for queue, messages in taken.items()} == {"scans": 2, "default": 4}
    assert doorbell.waiting(client, "scans") == 2  # another process may have them


def test_who_has_all_that_it_may_take_fetches_as_soon_as_one_is_done(redis_url, client):
    broker = doorbell.make_broker(redis_url, timeout=1.0)
    doorbell.make_ringer(broker)([Ring(uuid.uuid4(), "any", "default") for _ in range(2)])
    consumer = broker.consume("default", prefetch=1, timeout=20_000)
    first = next(consumer)
    threading.Timer(0.2, consumer.ack, (first,)).start()
    began = time.monotonic()
    assert next(consumer) is None  # it was done, there is room now
    assert next(consumer) is not None
    assert 0.1 < time.monotonic() - began < 10


def timed(ring):
    before = time.monotonic()
    return ring([RING] * 10), time.monotonic() - before


def test_it_gives_up_within_a_second_when_redis_hangs():
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        answered, seconds = timed(doorbell.open_doorbell(f"redis://127.0.0.1:{server.getsockname()[1]}"))
    assert not answered
    assert seconds < 1.0


def test_it_gives_up_at_once_when_redis_is_away():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    answered, seconds = timed(doorbell.open_doorbell(f"redis://127.0.0.1:{port}"))
    assert not answered
    assert seconds < 1.0


def test_it_rings_again_when_redis_is_back(redis_url, client):
    ring = doorbell.open_doorbell(redis_url)
    assert ring([RING])
    client.client_kill_filter(_type="normal", skipme=True)
    ring([RING])  # may be lost with the connection
    assert ring([RING])


def test_waiting_says_when_redis_is_away():
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(redis.RedisError):
        doorbell.waiting(doorbell.connect(f"redis://127.0.0.1:{port}", 0.5), "default")
