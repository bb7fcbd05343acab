import socket
import threading
import time
import uuid

import dramatiq
import pytest
import redis

from shared import doorbell
from shared.tasks import QUEUES, Ring
from tests.builders import wait_for

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


def some(number, queue="default"):
    return [Ring(uuid.uuid4(), "any", queue) for _ in range(number)]


def tokens(client, queue="default"):
    return client.llen(f"dramatiq:{queue}.bell")


PATIENT = 20_000
"""Milliseconds that a consumer waits in these tests, which end long before."""


@pytest.fixture
def consume(redis_url, client):
    """Make consumers, each of a process of its own."""

    def consume(queue="default", timeout=PATIENT):
        return doorbell.make_broker(redis_url, timeout=40.0).consume(queue, prefetch=4, timeout=timeout)

    return consume


@pytest.fixture
def waiting_consumer(client):
    """Have a consumer wait for its bell; gives what says, after some seconds, whether it was woken."""
    threads = []

    def start(consumer):
        before = client.info("clients")["blocked_clients"]
        thread = threading.Thread(target=next, args=(consumer,), daemon=True)
        thread.start()
        wait_for(lambda: client.info("clients")["blocked_clients"] == before + 1)
        threads.append((consumer.queue_name, thread))
        return lambda seconds=10.0: thread.join(seconds) or not thread.is_alive()

    yield start
    for queue, thread in threads:
        while thread.is_alive():
            client.rpush(f"dramatiq:{queue}.bell", "")
            thread.join(0.1)


def test_a_ring_wakes_one_of_those_who_wait(redis_url, consume, waiting_consumer, client):
    woken = [waiting_consumer(consume()) for _ in range(3)]
    ring = doorbell.open_doorbell(redis_url)
    for number in (1, 2):
        ring([RING])
        wait_for(lambda number=number: sum(each(0.0) for each in woken) == number)
        assert client.info("clients")["blocked_clients"] == 3 - number
    ring(some(5))
    assert all(each() for each in woken)


def test_who_was_woken_finds_the_message(redis_url, consume):
    consumer = consume()
    threading.Timer(0.2, doorbell.open_doorbell(redis_url), ([RING],)).start()
    began = time.monotonic()
    assert next(consumer) is None
    assert next(consumer).message_id == str(RING.task_id)
    assert time.monotonic() - began < PATIENT / 2000


def test_a_ring_wakes_nobody_of_another_queue(redis_url, consume, waiting_consumer):
    scans, default = waiting_consumer(consume("scans")), waiting_consumer(consume())
    doorbell.open_doorbell(redis_url)([RING])
    assert default()
    assert not scans(0.2)


@pytest.mark.parametrize("delay", [None, 1], ids=["at-once", "later"])
def test_what_dramatiq_enqueues_rings_too(redis_url, consume, waiting_consumer, delay):
    """Ticks of the timetable, messages that became due and those that wait for that."""
    woken = waiting_consumer(consume("default" if delay is None else "default.DQ"))
    broker = doorbell.make_broker(redis_url, timeout=1.0)
    broker.enqueue(dramatiq.Message("default", "any", (), {}, {}), delay=delay)
    assert woken()


def test_a_wiped_redis_still_wakes_who_waits(redis_url, consume, waiting_consumer, client):
    ring = doorbell.open_doorbell(redis_url)
    ring(some(3))
    client.delete("dramatiq:default", "dramatiq:default.bell")
    woken = waiting_consumer(consume())
    client.flushall()
    assert not woken(0.1)
    ring([RING])
    assert woken()


def test_a_lost_token_costs_no_more_than_the_wait(redis_url, consume, client):
    consumer = consume(timeout=100)
    assert next(consumer) is None
    doorbell.open_doorbell(redis_url)([RING])
    client.delete("dramatiq:default.bell")
    wait_for(lambda: next(consumer) is not None)


def test_tokens_do_not_pile_up(redis_url, consume, client):
    ring, consumer = doorbell.open_doorbell(redis_url), consume(timeout=1)
    for _ in range(5):
        ring(some(100))
        assert tokens(client) <= doorbell.ENOUGH
    while message := next(consumer):
        consumer.ack(message)
    ring([RING])  # everything was taken without its token
    assert tokens(client) == 1


def test_tokens_of_a_queue_that_is_always_full_do_not_pile_up(redis_url, consume, client):
    ring, consumer = doorbell.open_doorbell(redis_url), consume(timeout=1)
    ring(some(doorbell.ENOUGH))
    for _ in range(3 * doorbell.ENOUGH):
        consumer.ack(next(consumer))
        ring(some(2))
    assert tokens(client) <= doorbell.ENOUGH


def leave(consumer):
    consumer.broker.emit_before("worker_shutdown", None)


def test_a_process_that_stops_leaves_what_is_asked_for_to_others(redis_url, consume, client):
    consumer = consume()
    doorbell.make_ringer(consumer.broker)(some(5))
    first = next(consumer)
    leave(consumer)
    assert first
    assert [next(consumer) is None for _ in range(4)] == [False, False, False, True]  # it had fetched those
    assert doorbell.waiting(client, "default") == 1


@pytest.mark.parametrize("queue", ["default", "default.DQ"])
def test_a_process_that_stops_does_not_wait_for_the_bell(consume, queue):
    consumer = consume(queue)
    leave(consumer)
    began = time.monotonic()
    assert next(consumer) is None
    assert time.monotonic() - began < PATIENT / 2000


def test_a_process_that_stops_still_gives_signs_of_life(consume, client):
    consumer = consume("default.DQ")
    leave(consumer)
    assert next(consumer) is None
    assert doorbell.workers_alive(client) == 1


def test_who_is_woken_when_it_stops_wakes_another(redis_url, consume, waiting_consumer, client):
    stops = consume()
    first = waiting_consumer(stops)
    leave(stops)
    second = waiting_consumer(consume())
    doorbell.open_doorbell(redis_url)([RING])
    assert first()
    assert second()


def test_a_consumer_says_when_redis_is_away(consume, client):
    consumer = consume()
    kill = threading.Timer(0.3, lambda: client.client_kill_filter(_type="normal", skipme=True))
    kill.start()
    with pytest.raises(dramatiq.errors.ConnectionClosed):
        next(consumer)
    kill.join()


def test_a_consumer_says_when_redis_hangs():
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        broker = doorbell.make_broker(f"redis://127.0.0.1:{server.getsockname()[1]}", timeout=0.3)
        consumer = broker.consume("default", timeout=100)
        with pytest.raises(dramatiq.errors.ConnectionClosed):
            next(consumer)


def test_enough_messages_are_enough(redis_url, consume, client):
    ring, consumer = doorbell.open_doorbell(redis_url), consume()
    for size in (3, 200, 1):
        assert ring(some(size))
    assert doorbell.waiting(client, "default") == doorbell.ENOUGH
    assert client.hlen("dramatiq:default.msgs") == doorbell.ENOUGH
    taken = [next(consumer) for _ in range(3)]
    assert None not in taken
    before = doorbell.waiting(client, "default")
    assert ring(some(1))
    assert doorbell.waiting(client, "default") == before + 1


def test_one_queue_that_has_enough_keeps_nothing_from_another(redis_url, client):
    assert doorbell.open_doorbell(redis_url)(
        [*some(200, "scans"), RING, *some(2, "scans"), *some(2, "notifications")]
    )
    counts = {queue: doorbell.waiting(client, queue) for queue in QUEUES}
    assert counts == {"scans": doorbell.ENOUGH, "default": 1, "notifications": 2}


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
