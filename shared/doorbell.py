"""The Dramatiq broker, used as a doorbell: a message says only which task row waits.

A message may be lost, doubled, late or out of order. The sweeper rings again for rows that nobody answers, so `ring` may
fail: it gives up within a second and says so in its answer.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
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
_ASKER = "asker-"
"""What the broker's name of a process begins with that asks for work but does none."""
ALWAYS = 1_000_000
"""`maintenance_chance` in parts per million: look for dead workers at every fetch (the default needs minutes to hit)."""


def connect(url: str, timeout: float) -> redis.Redis:
    """A Redis client that gives up after `timeout` seconds instead of retrying for a minute."""
    client: redis.Redis = redis.Redis.from_url(
        url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )
    return client


class _Consumer(_RedisConsumer):
    """A consumer that fetches again as soon as one of its messages is done, when it has all that it may take.

    Dramatiq's own sleeps meanwhile, longer each time, up to the `worker_timeout`.
    """

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)  # type: ignore[no-untyped-call]
        self._done = threading.Event()

    def __next__(self) -> dramatiq.broker.MessageProxy | None:
        """The next message; None when there is none, after a moment."""
        if not self.message_cache and self.outstanding_message_count >= self.prefetch:
            if self._done.wait(self.timeout / 1000):
                self._done.clear()
                self.misses = 0
            return None
        message: dramatiq.broker.MessageProxy | None = super().__next__()  # type: ignore[no-untyped-call]
        return message

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

    What it does not take stays in Redis for another process, and its other threads stay free for other queues.
    """

    at_once: Mapping[str, int] = MappingProxyType({})

    @property
    def consumer_class(self) -> type[dramatiq.Consumer]:
        """What fetches."""
        return _Consumer

    def consume(self, queue_name: str, prefetch: int = 1, timeout: int = 5000) -> dramatiq.Consumer:
        """A consumer of one queue; messages being worked on count as taken."""
        return super().consume(queue_name, min(prefetch, self.at_once.get(queue_name, prefetch)), timeout)


def make_broker(
    url: str,
    *,
    timeout: float,
    middleware: Sequence[Middleware] = (),
    at_once: Mapping[str, int] = MappingProxyType({}),
) -> Broker:
    """A broker for the queues of the contract. `timeout` is in seconds; a worker needs more of it than a bell-push."""
    broker = Broker(  # type: ignore[no-untyped-call]
        client=connect(url, timeout),
        heartbeat_timeout=HEARTBEAT_MILLISECONDS,
        maintenance_chance=ALWAYS,
        middleware=[Retries(max_retries=3), *middleware],
    )
    broker.at_once = at_once
    for queue in QUEUES:
        broker.declare_queue(queue)
    return broker


def make_ringer(broker: RedisBroker) -> Ringer:
    """A function that rings for tasks through `broker`; it gives up at the first failure."""

    def ring(rings: Sequence[Ring]) -> bool:
        try:
            for each in rings:
                broker.enqueue(
                    dramatiq.Message(
                        queue_name=each.queue,
                        actor_name=each.name,
                        args=(str(each.task_id),),
                        kwargs={},
                        options={},
                        message_id=str(each.task_id),
                    )
                )
        except (redis.RedisError, dramatiq.errors.BrokerError, OSError) as error:
            log.warning("doorbell_silent", error=str(error), tasks=len(rings))
            return False
        return True

    return ring


def open_doorbell(url: str) -> Ringer:
    """A ringer with a connection of its own, for processes that ask for work but do none."""
    broker = make_broker(url, timeout=RING_SECONDS)
    broker.broker_id = f"{_ASKER}{broker.broker_id}"
    return make_ringer(broker)


def workers_alive(client: redis.Redis, namespace: str = "dramatiq") -> int:
    """How many worker processes have shown a sign of life lately; raises redis.RedisError when Redis is away.

    Every broker leaves such signs, those who only ask too: they bear a name of their own.
    """
    since = time.time() * 1000 - HEARTBEAT_MILLISECONDS
    names = client.zrangebyscore(f"{namespace}:__heartbeats__", since, "+inf")
    assert isinstance(names, list)  # noqa: S101  # redis types its two clients as one
    return sum(not name.decode().startswith(_ASKER) for name in names)


def waiting(client: redis.Redis, queue: str, namespace: str = "dramatiq") -> int:
    """How many messages lie in `queue` that no worker has fetched; raises redis.RedisError when Redis is away."""
    count = client.llen(f"{namespace}:{queue}")
    assert isinstance(count, int)  # noqa: S101  # redis types its two clients as one
    return count
