"""The Dramatiq broker, used as a doorbell: a message says only which task row waits.

A message may be lost, doubled, late or out of order. The sweeper rings again for rows that nobody answers, so `ring` may
fail: it gives up within a second and says so in its answer.

Who finds its queue empty does not look again and again: it waits in Redis for the queue's bell, a list into which everything
that is put into the queue puts a token as well. A token wakes one of those who wait. One that is lost costs a second, after
which everybody looks without it.
"""

import itertools
import sys
import threading
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import dramatiq
import redis
import structlog
from dramatiq.brokers.redis import RedisBroker, _RedisConsumer
from dramatiq.middleware import Middleware, Retries
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.tasks import QUEUES, Ring

log = structlog.get_logger(__name__)

Ringer = Callable[[Sequence[Ring]], bool]
"""Rings for tasks; False when it could not."""

HEARTBEAT_MILLISECONDS = 10_000
"""After this long without a sign the broker hands a dead worker's messages on. Our lease decides, not the broker."""
RING_SECONDS = 0.5
"""How long one who only rings waits for Redis."""
ALWAYS = 1_000_000
"""`maintenance_chance` in parts per million: look for dead workers at every fetch, so at least every second (the default
needs minutes to hit)."""
ENOUGH = 64
"""So many messages that nobody has fetched are enough for a queue, however many tasks are due (see `make_ringer`). More than
a deployment usually has threads, each of which needs one to begin with."""
LEAVING_SECONDS = 0.1
"""How long a process that was told to stop waits between two looks."""

_PUT = """
-- KEYS: the queue, its messages (both as Dramatiq lays them out) and its bell.
-- ARGV: how many waiting messages are enough, then the id and the text of each message.
local waiting = redis.call("llen", KEYS[1])
local enough = tonumber(ARGV[1])
for i = 2, #ARGV, 2 do
    if waiting >= enough then break end
    redis.call("hset", KEYS[2], ARGV[i], ARGV[i + 1])
    waiting = redis.call("rpush", KEYS[1], ARGV[i])
    redis.call("rpush", KEYS[3], "")
end
-- While all are busy nobody takes tokens. There need be no more of them than of messages.
redis.call("ltrim", KEYS[3], 0, waiting - 1)
"""


def connect(url: str, timeout: float) -> redis.Redis:
    """A Redis client that gives up after `timeout` seconds instead of retrying for a minute."""
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
    return client


class _Consumer(_RedisConsumer):
    """A consumer that waits for something to happen, where Dramatiq's own sleeps and looks again.

    When it finds nothing, it waits for the bell; when it has all that it may take, for one of its messages to be done. It
    waits no longer than the `worker_timeout`, which has to be less than the client waits for an answer. In a process that was
    told to stop it takes no more work, which it could only put back at the end.
    """

    broker: "Broker"

    def __init__(self, broker: "Broker", queue_name: str, prefetch: int, timeout: int) -> None:
        super().__init__(broker, queue_name, prefetch, 0)  # type: ignore[no-untyped-call]  # it shall not sleep
        self._seconds = timeout / 1000
        self._done = threading.Event()

    def __next__(self) -> dramatiq.broker.MessageProxy | None:
        """The next message; None when there is none, after a moment."""
        if not self.message_cache and self._wants_none():
            return None
        try:
            message: dramatiq.broker.MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
            if message is None:
                self._wait_for_the_bell()
        except (redis.ConnectionError, redis.TimeoutError) as error:
            # Dramatiq knows a server that is gone, and takes one that gives no answer in time for a mistake of ours.
            raise dramatiq.errors.ConnectionClosed(error) from None  # type: ignore[no-untyped-call]
        return message

    def _wants_none(self) -> bool:
        """Whether there is nothing to fetch for, after a moment."""
        if self.broker.leaving.is_set() and self.queue_name in self.broker.queues:
            time.sleep(LEAVING_SECONDS)  # who fetches for the delay queue gives the signs of life
            return True
        if self.outstanding_message_count < self.prefetch:
            return False
        if self._done.wait(self._seconds):
            self._done.clear()
        return True

    def _wait_for_the_bell(self) -> None:
        if self.broker.leaving.is_set():
            time.sleep(LEAVING_SECONDS)
            return
        bell = self.broker.bell(self.queue_name)
        token = self.broker.client.blpop([bell], self._seconds)
        if token and self.broker.leaving.is_set():
            self.broker.client.rpush(bell, "")  # for another process

    def ack(self, message: dramatiq.broker.MessageProxy) -> None:
        """A message was answered."""
        super().ack(message)  # type: ignore[no-untyped-call]
        self._done.set()

    def nack(self, message: dramatiq.broker.MessageProxy) -> None:
        """A message was given up."""
        super().nack(message)  # type: ignore[no-untyped-call]
        self._done.set()


class Broker(RedisBroker):
    """Dramatiq's broker, of whose messages a process takes no more at once from a queue than `at_once` says.

    What it does not take stays in Redis for another process, and its other threads stay free for other queues. Whatever is
    enqueued rings its queue's bell.
    """

    def __init__(self, *, at_once: Mapping[str, int], **options: Any) -> None:
        super().__init__(**options)  # type: ignore[no-untyped-call]
        self.at_once = at_once
        self.leaving = threading.Event()
        """Set when this process was told to stop."""
        self._put = self.client.register_script(_PUT)

    @property
    def consumer_class(self) -> type[dramatiq.Consumer]:
        """What fetches."""
        return _Consumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """A consumer of one queue; messages being worked on count as taken."""
        return super().consume(queue_name, min(prefetch, self.at_once.get(queue_name, prefetch)), timeout)

    def bell(self, queue_name: str) -> str:
        """The list of a queue's tokens."""
        return f"{self.namespace}:{queue_name}.bell"

    def do_enqueue(self, queue_name: str, message_id: str, text: bytes) -> None:
        """What Dramatiq itself enqueues: ticks of the timetable, retries, delayed messages that became due."""
        self.put(queue_name, [(message_id, text)], sys.maxsize)

    def put(self, queue_name: str, messages: Sequence[tuple[str, bytes]], enough: int) -> None:
        """Enqueue messages, each with its id in Redis, until `enough` wait in the queue, and wake one consumer for each.

        One round trip, and one step that nobody comes in between.
        """
        queue = f"{self.namespace}:{queue_name}"
        arguments: list[int | str | bytes] = [enough]
        for message in messages:
            arguments.extend(message)
        self._put((queue, f"{queue}.msgs", self.bell(queue_name)), arguments)


class _Leave(Middleware):
    """Tells the consumers of a process that it was told to stop."""

    def before_worker_shutdown(self, broker: dramatiq.Broker, worker: Any) -> None:  # noqa: ARG002  # Dramatiq's hook
        """The process was told to stop."""
        if isinstance(broker, Broker):
            broker.leaving.set()


def make_broker(
    url: str,
    *,
    timeout: float,
    middleware: Sequence[Middleware] = (),
    at_once: Mapping[str, int] = MappingProxyType({}),
) -> Broker:
    """A broker for the queues of the contract. `timeout` is in seconds; a worker needs more of it than a bell-push."""
    broker = Broker(
        at_once=at_once,
        client=connect(url, timeout),
        heartbeat_timeout=HEARTBEAT_MILLISECONDS,
        maintenance_chance=ALWAYS,
        middleware=[Retries(max_retries=3), _Leave(), *middleware],
    )
    for queue in QUEUES:
        broker.declare_queue(queue)
    return broker


def make_ringer(broker: Broker) -> Ringer:
    """A function that rings for tasks through `broker`; it gives up at the first failure.

    A message does not stand for its task: where `ENOUGH` lie unfetched, a ring adds none. That forgets no task, since it was
    committed before we looked, and each of those messages is fetched, and answered with a look at the rows, only afterwards.
    Who finds another task there goes on until nothing is due, or rings once more. What that leaves out the sweeper makes good
    for: all of them may be busy for long while others have nothing to do, and ticks of the timetable look at no rows.
    """

    def ring(rings: Sequence[Ring]) -> bool:
        try:
            for queue, of_queue in itertools.groupby(sorted(rings, key=_QUEUE), _QUEUE):
                broker.put(queue, [_message(each) for each in itertools.islice(of_queue, ENOUGH)], ENOUGH)
        except (redis.RedisError, dramatiq.errors.BrokerError, OSError) as error:
            log.warning("doorbell_silent", error=str(error), tasks=len(rings))
            return False
        return True

    return ring


_QUEUE = attrgetter("queue")


def _message(ring: Ring) -> tuple[str, bytes]:
    """What rings for a task, and its id in Redis: one of its own, since a task may be rung for more than once."""
    id_in_redis, task_id = str(uuid.uuid4()), str(ring.task_id)
    message: dramatiq.Message[None] = dramatiq.Message(
        queue_name=ring.queue,
        actor_name=ring.name,
        args=(task_id,),
        kwargs={},
        options={"redis_message_id": id_in_redis},
        message_id=task_id,
    )
    return id_in_redis, message.encode()


def open_doorbell(url: str) -> Ringer:
    """A ringer with a connection of its own, for processes that ask for work but do none."""
    return make_ringer(make_broker(url, timeout=RING_SECONDS))


def workers_alive(client: redis.Redis, namespace: str = "dramatiq") -> int:
    """How many worker processes have shown a sign of life lately; raises redis.RedisError when Redis is away.

    Who fetches shows one; who only rings does not.
    """
    since = time.time() * 1000 - HEARTBEAT_MILLISECONDS
    count = client.zcount(f"{namespace}:__heartbeats__", since, "+inf")
    assert isinstance(count, int)  # noqa: S101  # redis types its two clients as one
    return count


def waiting(client: redis.Redis, queue: str, namespace: str = "dramatiq") -> int:
    """How many messages lie in `queue` that no worker has fetched; raises redis.RedisError when Redis is away."""
    count = client.llen(f"{namespace}:{queue}")
    assert isinstance(count, int)  # noqa: S101  # redis types its two clients as one
    return count
