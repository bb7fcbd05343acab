"""Webhook deliveries per second to receivers on loopback, beside a bare loop of `requests` with the same concurrency."""

import multiprocessing
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from itertools import islice
from multiprocessing.connection import Connection
from pathlib import Path

import psutil
import requests
import sqlalchemy as sa

from shared import database, doorbell
from shared.database import Sessions
from shared.lifecycle import dispatch
from shared.lifecycle.notification import News, write
from shared.models.notification import Delivery, DeliveryState, Priority
from shared.settings import Settings
from tests.benchmarks.harness import Bench, Figure
from tests.builders import add_channel, add_user, wait_for
from tests.faults.servers import servers
from tests.flow.processes import SCHEDULER, WORKER, Process, running
from tests.receivers.http import receiving

RECEIVERS = 16
MESSAGES = 400
WORKER_THREADS = 8
"""2 processes with 4 threads each, as shipped."""
BODY = b"x" * 400
"""About as much as a webhook of ours says."""


def measure(bench: Bench) -> Iterator[Figure]:
    """One receiver with one channel, one with many, and many receivers; each beside `requests`."""
    with receivers() as urls, servers(bench.kind) as (engine, environment, folder):
        sessions = database.make_sessions(engine, doorbell.open_doorbell(environment["REDIS_URL"]))
        environment |= {"VEDETTE_ALLOWED_DESTINATIONS": "127.0.0.0/8:*"}
        with running(SCHEDULER, environment, folder), running(WORKER, environment, folder) as worker:
            _delivered(sessions, folder, urls, 40)  # warm
            before = _cpu_seconds(worker)
            one_channel = _delivered(sessions, folder, urls[:1], MESSAGES)
            one_receiver = _delivered(sessions, folder, urls[:1] * RECEIVERS, MESSAGES)
            many = _delivered(sessions, folder, urls, MESSAGES)
            spent = (_cpu_seconds(worker) - before) / (3 * MESSAGES)
        lanes = _posted(urls[:1], dispatch.LANES)
        threads = _posted(urls, WORKER_THREADS)
    unit, spacing = "deliveries/s", dispatch.SPACING["webhook"]
    note = f"a channel is spoken to every {spacing} s at most: {1 / spacing:.0f} a second"
    yield Figure("one receiver, one channel", one_channel, unit, note=note)
    note = f"{dispatch.LANES} at once to one receiver"
    yield Figure(f"one receiver, {RECEIVERS} channels", one_receiver, unit, note=note)
    note = f"{WORKER_THREADS} at once in 2 processes, {MESSAGES} messages"
    yield Figure(f"{RECEIVERS} receivers, a channel each", many, unit, note=note)
    yield Figure(
        "CPU of the worker for one delivery", spent * 1000, "ms", note="whatever else the machine does"
    )
    yield Figure(f"requests, {dispatch.LANES} threads to one receiver", lanes, "posts/s")
    yield Figure(f"requests, {WORKER_THREADS} threads to {RECEIVERS} receivers", threads, "posts/s")


@contextmanager
def receivers() -> Iterator[list[str]]:
    """The addresses of receivers in a process of their own."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_receive, args=(theirs,))
    process.start()
    try:
        yield ours.recv()
    finally:
        ours.send(None)
        process.join(30)


def _receive(channel: Connection) -> None:
    with ExitStack() as stack:
        channel.send([stack.enter_context(receiving()).url for _ in range(RECEIVERS)])
        channel.recv()


def _delivered(sessions: Sessions, folder: Path, urls: Sequence[str], number: int) -> float:
    """Deliveries a second of `number` messages, through a channel for each address, one person's each."""
    settings = Settings.model_construct(**Settings.model_construct().model_dump()).with_changes(
        data_dir=folder
    )
    with database.transaction(sessions) as session:
        people = [add_user(session).id for _ in urls]
        for user_id, url in zip(people, urls, strict=True):
            add_channel(session, user_id, url, settings)
    with database.transaction(sessions) as session:
        for place in range(number):
            news = News("announcement", f"number {place}", "", Priority.NORMAL, uuid.uuid4().hex)
            notification, _ = write(session, people[place % len(people)], news)
            dispatch.fan_out(session, notification)
    begin = time.monotonic()
    wait_for(lambda: _pending(sessions) == 0, 300.0, "the end of all deliveries")
    return number / (time.monotonic() - begin)


def _cpu_seconds(worker: Process) -> float:
    times = [psutil.Process(pid).cpu_times() for pid in worker.group()]
    return sum(each.user + each.system for each in times)


def _pending(sessions: Sessions) -> int:
    with database.reading(sessions) as session:
        query = (
            sa.select(sa.func.count()).select_from(Delivery).where(Delivery.state == DeliveryState.PENDING)
        )
        return session.scalar(query) or 0


def _posted(urls: Sequence[str], threads: int) -> float:
    """Posts a second of a bare loop in so many threads, each post over a connection of its own as ours are."""
    share = MESSAGES // threads

    def loop(place: int) -> None:
        for url in islice(urls * share, place, place + share):
            assert requests.post(url, data=BODY, timeout=15).ok

    begin = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(loop, range(threads)))
    return share * threads / (time.monotonic() - begin)
