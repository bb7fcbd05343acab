"""P5: every notification due arrives, every copy of it under the same id, and nothing is told twice to people.

Real receivers note what comes, and check each signature when it does. What was asked for stands in the journal; the oracle
compares with what is in the application, at the webhooks and at the mail server, and with what owners see of their deliveries.
"""

import datetime as dt
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from shared import database
from shared.lifecycle import dispatch
from shared.models.channel import ChannelKind
from shared.models.notification import Delivery, DeliveryState, Notification
from shared.models.task import ACTIVE, Task
from shared.tasks import SEND_NOTIFICATION, ask
from tests.builders import SECRET, add_channel, add_user
from tests.faults import load, points
from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.flow.processes import Process
from tests.receivers.http import Received, answer, receiving
from tests.receivers.mail import Mailbox, taking_mail

WORKERS = 2
RECEIVERS = 8
"""Webhook receivers; people share them."""
ENTITIES = 5
"""What each person's messages are about: those about one thing keep their order."""
ANSWER_SECONDS = 0.03
"""How long a receiver thinks, so that there is a middle to be killed in."""
PAUSE = (0.0, 1.2)
"""Seconds from a worker's being busy until it is killed."""
POINTS = ("before-record", "before-dot", "after-claim", "before-record", "after-dot", "after-end")
"""Where three of four workers die by themselves: among them between sending and recording, and around the end of a mail."""
PASSAGES = 6
"""At which passage of its point, at most."""
REDIS_AWAY = 1.0


@dataclass(frozen=True)
class Shape:
    """What is told, and what strikes meanwhile."""

    promise: str
    notifications: int
    kills: int
    people: int
    mailing: int
    """How many of the people have a mail channel beside their webhook."""
    servers: bool = False
    """Whether Redis and the database are lost too."""


@dataclass
class Heard:
    """What reached the webhooks."""

    copies: dict[str, set[bytes]] = field(default_factory=lambda: defaultdict(set))
    """The bodies that came under each id, in the order in which the first ones came."""
    number: int = 0
    forged: int = 0
    """Requests whose signature does not hold."""

    def __call__(self, request: Received) -> None:
        self.number += 1
        message_id = request.headers["webhook-id"]
        try:
            Webhook(SECRET).verify(request.body, request.headers)
        except WebhookVerificationError:
            self.forged += 1
        self.copies[message_id].add(request.body)


def everything_arrives(bench: Bench, size: int) -> Iterator[Figure]:
    """Tell `size` things while workers are killed, Redis is lost and the database restarts."""
    kills = max(2, size // 50)
    yield _put_to_the_test(bench, Shape("P5", size, kills, people=40, mailing=8, servers=True))


def nothing_is_told_twice(bench: Bench, size: int) -> Iterator[Figure]:
    """Make `size` deliveries, half of them mails, with a worker killed for every ten of them."""
    yield _put_to_the_test(bench, Shape("P5b", size // 2, size // 10, people=10, mailing=10))


def _put_to_the_test(bench: Bench, shape: Shape) -> Figure:
    heard = Heard()
    with _receivers(heard) as urls, taking_mail() as mailbox:
        people = _add_people(bench, shape, urls)
        bench.environment |= {
            "VEDETTE_ALLOWED_DESTINATIONS": "127.0.0.0/8:*",
            "VEDETTE_DELIVERY_RETRIES": "1,1,2,5,5,5,5",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(mailbox.port),
            "SMTP_SECURITY": "none",
            "SMTP_FROM": "vedette@example.org",
        }
        bench.scheduler()
        workers = [bench.worker() for _ in range(WORKERS)]
        told = 0
        for number in range(1, shape.kills + 1):
            more = shape.notifications * number // shape.kills - told
            _ask(bench, shape, people, range(told, told + more), away=shape.servers and number % 10 == 1)
            told += more
            if shape.servers:
                _lose_a_server(bench, number)
            _kill_one(bench, workers, number)
        for worker in workers:  # what still waits for its point
            worker.environment.pop(points.POINT, None)
            bench.kill(worker)
            bench.restart(worker)
        ended = _drain(bench)
        return _judge(bench, shape, heard, mailbox, ended=ended)


@contextmanager
def _receivers(heard: Heard) -> Iterator[list[str]]:
    """The addresses of webhook receivers that tell `heard` what comes."""
    with ExitStack() as stack:
        urls = []
        for _ in range(RECEIVERS):
            receiver = stack.enter_context(receiving())
            receiver.listener = heard
            receiver.always = lambda connection, stopped: (
                stopped.wait(ANSWER_SECONDS),
                answer(200)(connection, stopped),
            )[1]
            urls.append(receiver.url)
        yield urls


def _add_people(bench: Bench, shape: Shape, urls: list[str]) -> list[str]:
    """People with a webhook each, the first of them with mail too; their ids."""
    people = []
    with database.transaction(bench.sessions) as session:
        for number in range(shape.people):
            user = add_user(session)
            people.append(str(user.id))
            add_channel(session, user.id, f"{urls[number % len(urls)]}/{number}", bench.settings)
            if number < shape.mailing:
                mail = {"kind": ChannelKind.EMAIL, "destination": "smtp", "secret": None}
                add_channel(session, user.id, user.email, bench.settings, **mail)
    return people


def _ask(bench: Bench, shape: Shape, people: list[str], numbers: range, *, away: bool) -> None:
    """Ask for notifications, in one transaction; with Redis away for a while, if it is to be."""
    if away:
        bench.journal.note("redis killed")
        bench.valkey.kill()
    with database.transaction(bench.sessions) as session:
        for number in numbers:
            ask(
                session,
                SEND_NOTIFICATION,
                user_id=people[number % len(people)],
                notification_type="announcement",
                title=f"number {number}",
                message="",
                priority="normal",
                entity_type="scan",
                entity_id=str(number // len(people) % ENTITIES),
            )
    for number in numbers:
        mail = number % len(people) < shape.mailing
        bench.journal.note("due", user=people[number % len(people)], title=f"number {number}", mail=mail)
    if away:
        load.pause(bench, 0.5 * REDIS_AWAY, 1.5 * REDIS_AWAY)
        bench.valkey.start()
        bench.journal.note("redis back")


def _lose_a_server(bench: Bench, number: int) -> None:
    if number % 10 == 2:
        bench.journal.note("flushed")
        bench.valkey.client.flushall()
    if number % 10 == 3 and bench.postgres is not None:
        bench.journal.note("database stopped")
        bench.postgres.stop("immediate")
        bench.postgres.start()
        bench.journal.note("database started")


def _kill_one(bench: Bench, workers: list[Process], number: int) -> None:
    """Kill a busy worker at any moment, or find one dead that came to its point; the next one is planned in its stead."""
    struck = len(bench.journal.of("struck"))
    bench.until(lambda: _busy(bench, workers), 10.0)
    load.pause(bench, *PAUSE)
    while True:
        dead = next((each for each in workers if not each.alive), None)
        victim = dead or _choose(bench, workers)
        if dead is None:
            bench.kill(victim)
        dead_by_fault = dead is None or len(bench.journal.of("struck")) > struck
        victim.kill()  # what its master left
        victim.environment.pop(points.POINT, None)
        if number % 4:
            point = POINTS[number % len(POINTS)]
            victim.environment[points.POINT] = f"{point}=kill:{bench.dice.randint(1, PASSAGES)}"
        bench.restart(victim)
        if dead_by_fault:
            return


def _choose(bench: Bench, workers: list[Process]) -> Process:
    """A busy worker, rather one that does not wait for its point."""
    busy = _busy(bench, workers)
    unplanned = [worker for worker in busy if points.POINT not in worker.environment]
    return bench.dice.choice(unplanned or busy or workers)


def _drain(bench: Bench) -> bool:
    """Wait until every task has ended, for as long as some do; whether all did."""
    seen = -1
    while bench.open_tasks():
        if not bench.until(lambda: _ended(bench) > seen):  # noqa: B023  # asked before it changes
            return False
        seen = _ended(bench)
        time.sleep(0.5)
    return True


def _ended(bench: Bench) -> int:
    with database.reading(bench.sessions) as session:
        return session.scalar(sa.select(sa.func.count()).where(Task.ended_at.is_not(None))) or 0


def _busy(bench: Bench, workers: list[Process]) -> list[Process]:
    """The workers that hold a task now."""
    with database.reading(bench.sessions) as session:
        held = session.scalars(sa.select(Task.worker).where(Task.state.in_(ACTIVE))).all()
    pids = {int((each or ":0").rpartition(":")[2]) for each in held}
    return [worker for worker in workers if worker.alive and pids & set(worker.group())]


@dataclass
class Verdict:
    """What became of what was due."""

    webhooks: int
    mails: int
    lost: list[str]
    """What did not arrive where it should, in words."""
    doubled: list[str]
    """What was told twice in the application or by mail, or under two ids, or differently under one."""
    overtaken: int
    """Webhooks that came before an earlier one about the same thing."""
    unended: int
    """Deliveries that are neither delivered nor known to be doubtful."""
    doubtful: int
    """Mails of which their owner is told that nobody knows, and that are not sent twice."""
    taken: int
    """Those of them that the mail server has."""


def _judge(bench: Bench, shape: Shape, heard: Heard, mailbox: Mailbox, *, ended: bool) -> Figure:
    verdict = _verdict(bench, heard, mailbox)
    kills = len(bench.journal.of("killed")) + len(bench.journal.of("struck")) - WORKERS
    servers = {
        "Redis killed": len(bench.journal.of("redis killed")),
        "FLUSHALL": len(bench.journal.of("flushed")),
        "database restarted": len(bench.journal.of("database stopped")),
    }
    wrong = [*verdict.lost[:2], *verdict.doubled[:2]]
    return Figure(
        shape.promise,
        "0 lost, 0 doubled by id" + ("" if shape.servers else "; no mail twice, signatures valid"),
        f"{shape.notifications} notifications, {verdict.webhooks} webhooks and {verdict.mails} mails due; {kills} SIGKILLs "
        f"of workers, {len(bench.journal.of('struck'))} of them at named points"
        + "".join(f"; {what} {number} times" for what, number in servers.items() if number),
        f"{len(verdict.lost)} lost, {len(verdict.doubled)} doubled; webhooks: {len(heard.copies)} ids in {heard.number} copies, "
        f"{heard.forged} signatures wrong, {verdict.overtaken} out of order; mails: {len(mailbox.mails)} at the server, "
        f"{verdict.doubtful} reported lost and not repeated ({verdict.taken} of them at the server)",
        ended
        and kills >= shape.kills
        and not (verdict.lost or verdict.doubled or verdict.unended or heard.forged or verdict.overtaken),
        "; ".join([*wrong, *([f"{verdict.unended} deliveries not ended"] if verdict.unended else [])]),
    )


def _verdict(bench: Bench, heard: Heard, mailbox: Mailbox) -> Verdict:
    """Compare with the journal what is in the application, at the webhooks, at the mail server, and in the deliveries."""
    due = {(entry["user"], entry["title"]): entry["mail"] for entry in bench.journal.of("due")}
    with database.reading(bench.sessions) as session:
        told = session.execute(sa.select(Notification.id, Notification.user_id, Notification.title)).all()
        ways = session.scalars(sa.select(Delivery).where(Delivery.channel_id.is_not(None))).all()
    in_app = Counter((str(user), title) for _, user, title in told)
    mails = Counter(str(mail.message["Message-ID"]).strip("<>").partition("@")[0] for mail in mailbox.mails)
    ids: dict[str, list[Delivery]] = defaultdict(list)
    for way in ways:
        ids[way.channel].append(way)
    webhooks, by_mail = ids[ChannelKind.WEBHOOK], ids[ChannelKind.EMAIL]
    doubtful = [way for way in by_mail if _is_doubtful(way)]
    lost = [f"not in the application: {each}" for each in due if not in_app[each]]
    lost += ["without a delivery"] * (len(due) + sum(due.values()) - len(ways))
    lost += [
        f"not at its webhook: {way.message_id}" for way in webhooks if way.message_id not in heard.copies
    ]
    lost += [
        f"not at the mail server: {way.message_id}"
        for way in by_mail
        if way.message_id not in mails and not _is_doubtful(way)
    ]
    known = {way.message_id for way in ways}
    doubled = [f"in the application twice: {each}" for each, number in in_app.items() if number > 1]
    doubled += [f"by mail {number} times: {each}" for each, number in mails.items() if number > 1]
    doubled += [
        f"differently under one id: {each}" for each, bodies in heard.copies.items() if len(bodies) > 1
    ]
    doubled += [f"under an id that is none: {each}" for each in {*heard.copies, *mails} - known]
    doubled += [f"not asked for: {each}" for each in in_app if each not in due]
    pending = [way for way in ways if way.state != DeliveryState.DELIVERED and not _is_doubtful(way)]
    taken = sum(way.message_id in mails for way in doubtful)
    overtaken = _overtaken(webhooks, list(heard.copies))
    return Verdict(len(webhooks), len(by_mail), lost, doubled, overtaken, len(pending), len(doubtful), taken)


def _overtaken(webhooks: list[Delivery], arrived: list[str]) -> int:
    """How many came before an earlier one of their channel about the same thing; which is earlier, the channel's lock decided."""
    ways = {way.message_id: way for way in webhooks}
    latest: dict[tuple[uuid.UUID | None, str | None], tuple[dt.datetime, dt.datetime, uuid.UUID]] = {}
    wrong = 0
    for way in (ways[each] for each in arrived if each in ways):
        key, place = (way.channel_id, way.order_key), (way.due_at, way.created_at, way.id)
        wrong += key in latest and place < latest[key]
        latest[key] = max(place, latest.get(key, place))
    return wrong


def _is_doubtful(way: Delivery) -> bool:
    return way.state == DeliveryState.FAILED and way.error == dispatch.UNANSWERED
