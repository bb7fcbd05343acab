"""A Dramatiq actor without rows: the rate of what our doorbell is built on. `python -m` of this asks (see `asking`)."""

import os

import dramatiq
from dramatiq.brokers.redis import RedisBroker

from tests.benchmarks.asking import ask_when_told

broker = RedisBroker(url=os.environ["REDIS_URL"])
dramatiq.set_broker(broker)


@dramatiq.actor
def noop() -> None:
    """Nothing."""


if __name__ == "__main__":
    ask_when_told(noop.send)
