"""Nobody asks more often than allowed, however many ask, with Redis and without."""

import threading
import time

import pytest
import redis

from shared import doorbell
from tests.upstream import quick
from worker_service.clients.allowance import Allowance, Limit

LIMIT = Limit(5, seconds=0.3, slack=0.2)
"""With as much slack as a busy machine may take from an allowance to the moment that a test notes."""


def most_in_window(moments: list[float], seconds: float) -> int:
    moments = sorted(moments)
    return max(sum(start <= moment < start + seconds for moment in moments) for start in moments)


def take(allowances: list[Allowance], each: int) -> list[float]:
    moments: list[float] = []

    def work(allowance: Allowance) -> None:
        for _ in range(each):
            allowance.wait()
            moments.append(time.monotonic())

    threads = [threading.Thread(target=work, args=(allowance,)) for allowance in allowances]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return moments


@pytest.fixture
def client(redis_url: str) -> redis.Redis:
    client = doorbell.connect(redis_url, 2.0)
    client.flushdb()
    return client


def test_workers_share_one_allowance(client: redis.Redis):
    workers = [Allowance(LIMIT, client, "nvd", time.sleep) for _ in range(4)]
    moments = take(workers, 5)
    assert len(moments) == 20
    assert most_in_window(moments, LIMIT.seconds) <= LIMIT.requests


def test_two_names_are_two_allowances(client: redis.Redis):
    started = time.monotonic()
    for name in ("one", "other"):
        take([Allowance(Limit(5), client, name, time.sleep, alone=True)], 5)
    assert time.monotonic() - started < 5


def test_without_redis_half_of_it_is_used():
    moments = take([Allowance(LIMIT, quick.NOWHERE, "nvd", time.sleep)] * 2, 3)
    assert most_in_window(moments, LIMIT.seconds) <= LIMIT.requests // 2


def test_what_was_taken_through_redis_counts_when_it_goes_away(client: redis.Redis):
    allowance = Allowance(LIMIT, client, "nvd", time.sleep)
    moments = take([allowance], 5)
    allowance.client = quick.NOWHERE
    moments += take([allowance], 2)
    assert most_in_window(moments, LIMIT.seconds) <= LIMIT.requests


@pytest.mark.parametrize("alone", [True, False])
def test_one_worker_keeps_to_it_though_redis_forgets(client: redis.Redis, alone: bool):
    allowance = Allowance(LIMIT, client, "nvd", time.sleep, alone=alone)
    moments = []
    for _ in range(6):
        moments += take([allowance], 3)
        client.flushdb()
    assert most_in_window(moments, LIMIT.seconds) <= LIMIT.requests


def test_workers_keep_to_it_though_redis_forgets(client: redis.Redis):
    ended = threading.Event()

    def wipe() -> None:
        while not ended.wait(0.17):
            client.flushdb()

    wiping = threading.Thread(target=wipe)
    wiping.start()
    time.sleep(LIMIT.window)
    threading.Timer(1.5, ended.set).start()  # a Redis that forgets for ever lets nobody through
    moments = take([Allowance(LIMIT, client, "nvd", time.sleep) for _ in range(4)], 3)
    wiping.join()
    assert len(moments) == 12
    assert most_in_window(moments, LIMIT.seconds) <= LIMIT.requests


def test_an_empty_redis_makes_nobody_wait_who_is_known_to_be_alone(client: redis.Redis):
    pauses: list[float] = []
    Allowance(Limit(5), client, "nvd", pauses.append, alone=True).wait()
    assert pauses == []


def test_the_keys_in_redis_end_by_themselves(client: redis.Redis):
    Allowance(LIMIT, client, "nvd", time.sleep, alone=True).wait()
    window, kept = sorted(client.keys("*"))
    assert 0 < client.pttl(window) <= LIMIT.window * 1000
    assert 0 < client.pttl(kept) <= 24 * 3600 * 1000
