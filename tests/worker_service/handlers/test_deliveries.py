"""Deliveries to real receivers on loopback, attempt by attempt, the clock moved in the rows."""

import datetime as dt
import json
import time
import uuid

import pytest
import sqlalchemy as sa
from standardwebhooks.webhooks import Webhook

from shared import database
from shared.errors import LeaseLost
from shared.lifecycle import channel as channel_lifecycle
from shared.lifecycle import dispatch
from shared.lifecycle import task as task_lifecycle
from shared.lifecycle.notification import News, write
from shared.models.channel import Channel, ChannelKind, ChannelState, Digest
from shared.models.notification import (
    Delivery,
    DeliveryAttempt,
    DeliveryState,
    Notification,
    Outcome,
    Priority,
)
from shared.models.task import WAITING, Task, TaskState
from shared.models.user import User
from shared.tasks import DELIVER_NOTIFICATION, SEND_NOTIFICATION, TEST_NOTIFICATION_CHANNEL, ask
from tests.builders import SECRET, add_channel, add_user, claim
from tests.receivers.http import CANARY, answer, receiving
from tests.receivers.mail import taking_mail
from worker_service.actors import DOORS
from worker_service.handlers import deliveries
from worker_service.tasks import Frame, Work

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0
SCHEDULE = [5.0, 60.0, 300.0, 1800.0, 7200.0, 18_000.0, 36_000.0]


@pytest.fixture
def receiver():
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def settings(settings, receiver):
    return settings.with_changes(allowed_destinations="127.0.0.0/8:*", lease_seconds=5.0)


@pytest.fixture
def user_id(sessions):
    with database.transaction(sessions) as session:
        return add_user(session).id


@pytest.fixture
def frame(sessions, settings):
    frame = Frame(sessions, settings)
    frame.doors.update({door.contract: door for door in DOORS})
    return frame


class House:
    """One user's channels, and a worker that is told when to work."""

    def __init__(self, sessions, settings, frame, user_id):
        self.sessions, self.settings, self.frame, self.user_id = sessions, settings, frame, user_id

    def channel(self, target, **values):
        with database.transaction(self.sessions) as session:
            return add_channel(session, self.user_id, target, self.settings, **values).id

    def tell(self, title="hello", priority="normal", entity="1", kind="announcement"):
        with database.transaction(self.sessions) as session:
            ask(
                session,
                SEND_NOTIFICATION,
                user_id=str(self.user_id),
                notification_type=kind,
                title=title,
                message=f"the text of {title}",
                priority=priority,
                entity_type="scan" if entity else None,
                entity_id=entity,
            )
        self.work()

    def tell_directly(self, title="hello", message=""):
        """Write the notification and its deliveries, with no task between."""
        with database.transaction(self.sessions) as session:
            news = News("announcement", title, message, Priority.LOW, uuid.uuid4().hex)
            notification, _ = write(session, self.user_id, news)
            dispatch.fan_out(session, notification)

    def work(self):
        """Do all that is due."""
        while self.due():
            self.frame.answer("notifications")

    def due(self):
        with database.reading(self.sessions) as session:
            now = database.now(session)
            query = sa.select(Task.id).where(Task.state.in_(WAITING), Task.run_after <= now)
            return session.scalars(query).first()

    def pass_time(self, seconds):
        """Let time pass: all that lies in the future comes nearer, all that was lies further back."""
        span = dt.timedelta(seconds=seconds)
        with database.transaction(self.sessions) as session:
            for columns in (
                (Task.run_after,),
                (Delivery.run_after, Delivery.due_at, Delivery.digest_due, Delivery.created_at),
                (Channel.next_attempt_at, Channel.failing_since, Channel.previous_secret_until),
                (DeliveryAttempt.started_at,),
            ):
                for row in session.scalars(sa.select(columns[0].class_)):
                    for column in columns:
                        if (value := getattr(row, column.key)) is not None:
                            setattr(row, column.key, value - span)

    def deliveries(self):
        with database.reading(self.sessions) as session:
            query = sa.select(Delivery).where(Delivery.channel_id.is_not(None))
            rows = session.scalars(query.order_by(Delivery.created_at)).all()
            for row in rows:
                assert row.tries is not None
                assert row.notification is not None
            return rows

    def delivery(self):
        (row,) = self.deliveries()
        return row

    def wait_of(self, row):
        """Seconds from the end of the last attempt to the next one."""
        with database.reading(self.sessions) as session:
            return (row.run_after - database.now(session)).total_seconds()

    def notices(self):
        with database.reading(self.sessions) as session:
            query = sa.select(Notification).where(Notification.type.like("channel_%"))
            return session.scalars(query).all()

    def state(self, channel_id):
        with database.reading(self.sessions) as session:
            return session.get_one(Channel, channel_id)

    def resume(self, channel_id):
        with database.transaction(self.sessions) as session:
            channel = channel_lifecycle.lock(session, channel_id)
            channel_lifecycle.resume(channel, database.now(session))
            return dispatch.wake(session, channel)


@pytest.fixture
def house(sessions, settings, frame, user_id):
    return House(sessions, settings, frame, user_id)


def test_a_webhook_is_delivered_signed_and_recorded(house, receiver):
    house.channel(receiver.url)
    house.tell("hello")
    row = house.delivery()
    assert (row.state, row.attempts, row.error, row.run_after) == (DeliveryState.DELIVERED, 1, None, None)
    (attempt,) = row.tries
    assert (attempt.outcome, attempt.status) == (Outcome.DELIVERED, 200)
    assert attempt.seconds >= 0
    assert CANARY not in (attempt.detail or "")
    (request,) = receiver.requests
    assert request.headers["webhook-id"] == row.message_id
    body = Webhook(SECRET).verify(request.body, request.headers)
    assert (body["type"], body["version"]) == ("announcement", 1)
    assert body["data"]["title"] == "hello"
    assert body["data"]["entity"] == {"type": "scan", "id": "1"}


def test_retries_follow_the_schedule_and_then_it_has_failed(house, receiver):
    receiver.always = answer(500)
    house.channel(receiver.url)
    house.tell()
    for number, expected in enumerate(SCHEDULE, start=1):
        row = house.delivery()
        assert (row.state, row.attempts, len(receiver.requests)) == (DeliveryState.PENDING, number, number)
        assert expected - 2 <= house.wait_of(row) <= expected * (1 + dispatch.JITTER), number
        house.pass_time(expected - 3)
        house.work()
        assert len(receiver.requests) == number, "it came too early"
        house.pass_time(expected * dispatch.JITTER + 4)
        house.work()
    row = house.delivery()
    assert (row.state, row.attempts, row.run_after) == (DeliveryState.FAILED, 8, None)
    assert "Given up after 8 attempts" in row.error
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1
    assert [attempt.status for attempt in row.tries] == [500] * 8


def test_a_receiver_that_recovers_gets_it_once(house, receiver):
    receiver.faults = [answer(500), answer(503)]
    house.channel(receiver.url)
    house.tell()
    for _ in range(2):
        house.pass_time(70)
        house.work()
    row = house.delivery()
    assert (row.state, row.attempts, row.error) == (DeliveryState.DELIVERED, 3, None)
    house.pass_time(DAY)
    house.work()
    assert len(receiver.requests) == 3


@pytest.mark.parametrize(("asked", "expected"), [("120", 120.0), ("1", 5.0), ("999999", DAY)])
def test_retry_after_is_honoured(house, receiver, asked, expected):
    receiver.faults = [answer(429, retry_after=asked)]
    house.channel(receiver.url)
    house.tell()
    assert expected - 2 <= house.wait_of(house.delivery()) <= expected * (1 + dispatch.JITTER)


def test_a_receiver_that_asks_for_patience_gets_it_for_all(house, receiver):
    receiver.faults = [answer(503, retry_after="600")]
    house.channel(receiver.url)
    house.tell("one", entity="1")
    house.tell("two", entity="2")
    assert len(receiver.requests) == 1
    house.pass_time(580)
    house.work()
    assert len(receiver.requests) == 1
    house.pass_time(60)
    house.work()
    assert [row.state for row in house.deliveries()] == [DeliveryState.DELIVERED] * 2


def test_what_is_refused_fails_at_once_with_its_reason(house, receiver):
    receiver.faults = [answer(404)]
    channel = house.channel(receiver.url)
    house.tell()
    row = house.delivery()
    assert (row.state, row.attempts) == (DeliveryState.FAILED, 1)
    assert "404" in row.error
    assert house.state(channel).state == ChannelState.ACTIVE


def test_410_disables_the_channel_and_tells_its_owner_once(house, receiver):
    receiver.faults = [answer(500), answer(410)]
    channel = house.channel(receiver.url)
    house.tell("one", entity="1")
    house.tell("two", entity="2")
    assert [row.state for row in house.deliveries()] == [DeliveryState.FAILED] * 2
    assert house.state(channel).state == ChannelState.DISABLED
    assert "410" in house.state(channel).state_reason
    (notice,) = house.notices()
    assert (notice.type, notice.priority, notice.entity_id) == ("channel_disabled", "high", str(channel))
    house.tell("three")
    house.pass_time(DAY)
    house.work()
    assert len(receiver.requests) == 2
    assert len(house.deliveries()) == 2
    assert len(house.notices()) == 1
    house.resume(channel)
    house.tell("four")
    assert len(receiver.requests) == 3


def test_a_channel_that_fails_for_days_is_paused_and_goes_on_when_resumed(house, receiver):
    receiver.always = answer(500)
    channel = house.channel(receiver.url)
    house.tell("one", entity="1")
    house.pass_time(3 * DAY - 60)
    house.work()
    assert house.state(channel).state == ChannelState.ACTIVE
    house.tell("two", entity="2")
    house.pass_time(HOUR)
    house.work()
    assert house.state(channel).state == ChannelState.PAUSED
    assert "3 days" in house.state(channel).state_reason
    (notice,) = house.notices()
    assert notice.type == "channel_paused"
    tried = len(receiver.requests)
    house.tell("three", entity="3")
    house.pass_time(2 * DAY)
    house.work()
    assert len(receiver.requests) == tried
    assert [row.state for row in house.deliveries()] == [DeliveryState.PENDING] * 3
    receiver.always = None
    assert house.resume(channel) == 3
    house.work()
    assert [row.state for row in house.deliveries()] == [DeliveryState.DELIVERED] * 3
    assert len(house.notices()) == 1


def test_a_success_in_between_keeps_the_channel(house, receiver):
    receiver.faults = [answer(500)]
    channel = house.channel(receiver.url)
    house.tell()
    house.pass_time(DAY)
    house.work()
    assert house.state(channel).failing_since is None
    receiver.faults = [answer(500)]
    house.tell()
    house.pass_time(3 * DAY - 60)
    house.work()
    assert house.state(channel).state == ChannelState.ACTIVE


def test_a_later_message_about_the_same_thing_waits_for_the_earlier_one(house, receiver):
    receiver.faults = [answer(500)]
    house.channel(receiver.url)
    house.tell("one", entity="1")
    house.tell("two", entity="1")
    house.tell("other", entity="2")
    assert [title(request) for request in receiver.requests] == ["one", "other"]
    house.pass_time(6)
    house.work()
    assert [title(request) for request in receiver.requests] == ["one", "other", "one", "two"]
    assert [row.state for row in house.deliveries()] == [DeliveryState.DELIVERED] * 3


def test_a_later_message_goes_out_when_the_earlier_one_is_given_up(house, receiver):
    receiver.faults = [answer(500), answer(404)]
    house.channel(receiver.url)
    house.tell("one")
    house.tell("two")
    house.pass_time(6)
    house.work()
    assert [title(request) for request in receiver.requests] == ["one", "one", "two"]
    assert [row.state for row in house.deliveries()] == [DeliveryState.FAILED, DeliveryState.DELIVERED]


def test_the_order_is_per_channel(house, receiver):
    receiver.faults = [answer(500)]
    house.channel(receiver.url)
    with receiving() as other:
        house.tell("one")
        house.channel(other.url)
        house.tell("two")
        assert [title(request) for request in other.requests] == ["two"]


def test_a_worker_that_died_between_sending_and_recording_sends_under_the_same_id(house, receiver):
    house.channel(receiver.url)
    house.tell_directly()
    task = claim(house.sessions, house.due())
    work = Work(task.id, task.epoch, house.sessions, house.settings)
    deliveries.deliver(work, **task.arguments)  # and its effect is never committed
    with database.transaction(house.sessions) as session:
        task_lifecycle.expire(session, session.get_one(Task, task.id, with_for_update=True))
    house.work()
    row = house.delivery()
    first, second = receiver.requests
    assert (row.state, row.attempts) == (DeliveryState.DELIVERED, 2)
    assert [attempt.outcome for attempt in row.tries] == [Outcome.LOST, Outcome.DELIVERED]
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == row.message_id
    assert first.body == second.body


def test_a_delivery_whose_task_was_given_up_goes_on_with_the_schedule(house, receiver):
    house.channel(receiver.url)
    house.frame.doors.pop(DELIVER_NOTIFICATION)
    house.tell_directly()
    task = claim(house.sessions, house.due())
    with database.transaction(house.sessions) as session:
        dispatch.begin(session, uuid.UUID(task.arguments["delivery_id"]))
        task_lifecycle.fail(session, task.id, task.epoch, "worker x stopped answering")
    row = house.delivery()
    assert (row.state, row.attempts, row.step) == (DeliveryState.PENDING, 1, 1)
    assert row.tries[0].outcome == Outcome.LOST
    house.frame.doors.update({door.contract: door for door in DOORS})
    house.pass_time(6)
    house.work()
    assert house.delivery().state == DeliveryState.DELIVERED


def test_a_cancelled_task_ends_its_delivery(house, receiver):
    receiver.faults = [answer(500)]
    house.channel(receiver.url)
    house.tell("one")
    house.tell("two")
    with database.transaction(house.sessions) as session:
        waiting = session.scalars(sa.select(Task).where(Task.state == TaskState.PENDING)).one()
        task_lifecycle.request_cancel(session, waiting.id)
    house.work()
    assert [row.state for row in house.deliveries()] == [DeliveryState.FAILED, DeliveryState.DELIVERED]
    assert house.deliveries()[0].error == "It was cancelled."


def test_of_one_receiver_two_messages_at_most_are_on_their_way(house, receiver):
    for _ in range(3):
        house.channel(receiver.url)
    for _ in range(4):
        house.tell_directly()
    with database.reading(house.sessions) as session:
        tasks = session.scalars(sa.select(Task)).all()
    assert len(tasks) == 12
    held = [task for task in tasks if claim(house.sessions, task.id)]
    assert len(held) == dispatch.LANES


def test_what_goes_to_a_receiver_that_failed_comes_after_all_others(house, receiver, sessions):
    """Several that trickle would hold every thread, and each thread that they free would take the next of theirs."""
    receiver.faults = [answer(500)]
    failing = house.channel(receiver.url, destination="failing")
    house.tell("fails", priority="critical")
    house.channel(receiver.url, destination="healthy")
    house.tell_directly("low")

    def priorities(channel_id):
        with database.reading(sessions) as session:
            ids = [
                str(each)
                for each in session.scalars(sa.select(Delivery.id).where(Delivery.channel_id == channel_id))
            ]
            tasks = session.scalars(sa.select(Task).where(Task.state == TaskState.PENDING)).all()
            return [task.priority for task in tasks if task.arguments.get("delivery_id") in ids]

    (healthy,) = {row.channel_id for row in house.deliveries()} - {failing}
    assert max(priorities(healthy)) < min(priorities(failing))
    house.pass_time(6)
    house.work()
    house.tell_directly("again")
    assert max(priorities(failing)) < dispatch.FAILING_AFTER, "once it works, it is like any other"


def test_a_deactivated_user_is_sent_nothing(house, receiver, sessions):
    receiver.faults = [answer(500)]
    house.channel(receiver.url)
    house.tell("one")
    with database.transaction(sessions) as session:
        session.get_one(User, house.user_id).active = False
    house.tell("two")
    house.pass_time(60)
    house.work()
    assert house.delivery().error == "The account is deactivated."
    assert len(receiver.requests) == 1


def test_a_channel_deleted_meanwhile_is_no_trouble(house, receiver, sessions):
    receiver.faults = [answer(500)]
    channel = house.channel(receiver.url)
    house.tell()
    with database.transaction(sessions) as session:
        session.delete(session.get_one(Channel, channel))
    house.pass_time(DAY)
    house.work()
    with database.reading(sessions) as session:
        assert {task.state for task in session.scalars(sa.select(Task))} == {TaskState.SUCCESS}


def test_both_secrets_sign_during_a_rotation_and_one_after_it(house, receiver):
    new = "whsec_" + "bmV3IHNlY3JldCBvZiBtb3JlIHRoYW4gMjQgYnl0ZXM="
    channel = house.channel(receiver.url)
    with database.transaction(house.sessions) as session:
        row = session.get_one(Channel, channel)
        row.previous_secret, row.secret = row.secret, deliveries.Cipher.of(house.settings).encrypt(new)
        row.previous_secret_until = database.now(session) + dt.timedelta(hours=24)
    house.tell("one")
    house.pass_time(DAY + 1)
    house.tell("two")
    during, after = receiver.requests
    for secret in (SECRET, new):
        assert Webhook(secret).verify(during.body, during.headers)["data"]["title"] == "one"
    assert Webhook(new).verify(after.body, after.headers)["data"]["title"] == "two"
    assert len(after.headers["webhook-signature"].split()) == 1


def test_a_lost_key_is_an_attempt_that_may_go_better_later(house, receiver):
    house.channel(receiver.url)
    key = house.settings.data_dir / "secret.key"
    text = key.read_text()
    key.write_text("x" * 43)
    house.tell()
    row = house.delivery()
    assert row.state == DeliveryState.PENDING
    assert "VEDETTE_SECRET_KEYS" in row.error
    key.write_text(text)
    house.pass_time(6)
    house.work()
    assert house.delivery().state == DeliveryState.DELIVERED


def test_an_internal_address_is_never_connected_to(house, receiver, sessions, frame):
    house.channel(receiver.url)
    strict = house.settings.with_changes(allowed_destinations="")
    house.frame = Frame(sessions, strict)
    house.frame.doors.update({door.contract: door for door in DOORS})
    house.tell()
    row = house.delivery()
    assert (row.state, receiver.requests) == (DeliveryState.FAILED, [])
    assert "VEDETTE_ALLOWED_DESTINATIONS" in row.error


@pytest.fixture
def mailbox(house):
    """A mail server, one channel that goes there, and a worker that knows the server."""
    with taking_mail() as mailbox:
        house.settings = house.settings.with_changes(
            smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_security="none", smtp_from="v@example.org"
        )
        house.frame = Frame(house.sessions, house.settings)
        house.frame.doors.update({door.contract: door for door in DOORS})
        house.channel("ada@example.org", kind=ChannelKind.EMAIL, destination="smtp")
        yield mailbox


def test_mail_keeps_its_message_id_over_attempts(house, mailbox):
    mailbox.after = [lambda _server: "451 later"]
    house.tell("hello")
    house.pass_time(6)
    house.work()
    first, second = (mail.message for mail in mailbox.mails)
    assert house.delivery().state == DeliveryState.DELIVERED
    assert first["Message-ID"] == second["Message-ID"]
    assert house.delivery().message_id in first["Message-ID"]
    assert "hello" in first["Subject"]


def lose_worker(house, task):
    """What the sweeper does with a task whose worker is silent."""
    with database.transaction(house.sessions) as session:
        task_lifecycle.expire(session, session.get_one(Task, task.id, with_for_update=True))


def give_up(house, task):
    """The end of a task whose workers die."""
    with database.transaction(house.sessions) as session:
        task_lifecycle.fail(session, task.id, task.epoch, "given up")


def cancel(house, task):
    with database.transaction(house.sessions) as session:
        task_lifecycle.request_cancel(session, task.id)
        task_lifecycle.revoke(session, session.get_one(Task, task.id, with_for_update=True))


@pytest.mark.parametrize("end", [lose_worker, give_up, cancel])
def test_a_mail_whose_worker_died_before_it_heard_is_not_sent_twice(house, mailbox, sessions, end):
    house.tell_directly("hello")
    task = claim(sessions, house.due())
    deliveries.deliver(Work(task.id, task.epoch, sessions, house.settings), **task.arguments)  # and no effect
    end(house, task)
    house.pass_time(DAY)
    house.work()
    row = house.delivery()
    assert (row.state, row.error, row.attempts) == (DeliveryState.FAILED, dispatch.UNANSWERED, 1)
    assert [(each.outcome, each.detail) for each in row.tries] == [(Outcome.LOST, dispatch.UNANSWERED)]
    assert len(mailbox.mails) == 1
    with database.transaction(sessions) as session:  # its owner misses it
        channel = channel_lifecycle.lock(session, row.channel_id)
        dispatch.redeliver(session, channel, session.get_one(Delivery, row.id, with_for_update=True))
    house.work()
    assert house.delivery().state == DeliveryState.DELIVERED
    assert len({mail.message["Message-ID"] for mail in mailbox.mails}) == 1


def test_a_mail_whose_worker_died_before_its_end_is_sent_again(house, mailbox, sessions):
    house.tell_directly("hello")
    task = claim(sessions, house.due())
    with database.transaction(sessions) as session:
        dispatch.begin(session, uuid.UUID(task.arguments["delivery_id"]))
    lose_worker(house, task)
    house.work()
    row = house.delivery()
    assert (row.state, len(mailbox.mails)) == (DeliveryState.DELIVERED, 1)
    assert [each.outcome for each in row.tries] == [Outcome.LOST, Outcome.DELIVERED]


def test_a_worker_that_lost_its_lease_on_the_way_does_not_end_its_mail(house, mailbox, sessions):
    """It slept past its lease; the one that has the task now sends the mail, and nobody else does."""
    house.tell_directly("hello")
    task = claim(sessions, house.due())
    mailbox.recipient = [lambda _server: lose_worker(house, task)]
    with pytest.raises(LeaseLost):
        deliveries.deliver(Work(task.id, task.epoch, sessions, house.settings), **task.arguments)
    assert mailbox.mails == []
    house.work()
    assert (house.delivery().state, len(mailbox.mails)) == (DeliveryState.DELIVERED, 1)


def test_an_attempt_that_was_closed_meanwhile_does_not_end_its_mail(house, mailbox, sessions):
    """Two tasks may stand for one delivery, each with a lease of its own."""
    house.tell_directly("hello")
    task = claim(sessions, house.due())
    delivery_id = uuid.UUID(task.arguments["delivery_id"])

    def begin_another(_server):
        with database.transaction(sessions) as session:
            dispatch.begin(session, delivery_id)

    mailbox.recipient = [begin_another]
    with pytest.raises(LeaseLost):
        deliveries.deliver(Work(task.id, task.epoch, sessions, house.settings), **task.arguments)
    assert mailbox.mails == []


def test_a_digest_by_mail_is_not_sent_twice_either(house, sessions):
    clear_of_the_full_hour(house)
    with taking_mail() as mailbox:
        settings = house.settings.with_changes(
            smtp_host="127.0.0.1", smtp_port=mailbox.port, smtp_security="none", smtp_from="v@example.org"
        )
        house.channel("a@example.org", kind=ChannelKind.EMAIL, destination="smtp", digest=Digest.HOURLY)
        house.tell_directly("one")
        house.tell_directly("two")
        house.pass_time(HOUR)
        task = claim(sessions, house.due())
        deliveries.deliver(Work(task.id, task.epoch, sessions, settings), **task.arguments)
        lose_worker(house, task)
        house.work()
        assert len(mailbox.mails) == 1
    assert [(row.state, row.error) for row in house.deliveries()] == [
        (DeliveryState.FAILED, dispatch.UNANSWERED)
    ] * 2


def test_a_chat_gets_the_text(house, receiver):
    house.channel(receiver.url, kind=ChannelKind.CHAT)
    house.tell("hello")
    assert "hello" in receiver.requests[0].body.decode()
    assert house.delivery().state == DeliveryState.DELIVERED


def test_the_test_of_a_channel_is_an_attempt_of_its_own(house, receiver, sessions):
    receiver.faults = [answer(418)]
    channel = house.channel(receiver.url, state=ChannelState.PAUSED, min_priority=Priority.CRITICAL)
    attempt_id = uuid.uuid4()
    with database.transaction(sessions) as session:
        ask(session, TEST_NOTIFICATION_CHANNEL, channel_id=str(channel), attempt_id=str(attempt_id))
    house.work()
    with database.reading(sessions) as session:
        attempt = session.get_one(DeliveryAttempt, attempt_id)
    assert (attempt.status, attempt.outcome, attempt.delivery_id) == (418, Outcome.REFUSED, None)
    body = Webhook(SECRET).verify(receiver.requests[0].body, receiver.requests[0].headers)
    assert body["type"] == "test"
    assert house.state(channel).state == ChannelState.PAUSED
    assert house.deliveries() == []


def test_preferences_decide_what_goes_out(house, receiver):
    house.channel(receiver.url, min_priority=Priority.HIGH)
    house.channel(receiver.url, types=["scan_failed"])
    house.tell("low", priority="low")
    house.tell("high", priority="high")
    house.tell("failed", priority="low", kind="scan_failed")
    assert sorted(title(request) for request in receiver.requests) == ["failed", "high"]


def clear_of_the_full_hour(house):
    """A digest ends with the hour: what follows belongs to one."""
    with database.reading(house.sessions) as session:
        now = database.now(session)
    if now.minute == 59 and now.second >= 40:
        time.sleep(61 - now.second)


def test_a_digest_collects_and_goes_out_once(house, receiver):
    clear_of_the_full_hour(house)
    house.channel(receiver.url, digest=Digest.HOURLY)
    for name in ("one", "two", "three"):
        house.tell(name)
    assert receiver.requests == []
    house.pass_time(HOUR)
    house.work()
    (request,) = receiver.requests
    body = json.loads(request.body)
    assert body["type"] == "digest"
    assert [each["title"] for each in body["data"]["notifications"]] == ["one", "two", "three"]
    rows = house.deliveries()
    assert {row.state for row in rows} == {DeliveryState.DELIVERED}
    assert {row.message_id for row in rows} == {request.headers["webhook-id"]}
    house.tell("four")
    house.pass_time(2 * HOUR)
    house.work()
    assert len(receiver.requests) == 2
    house.pass_time(DAY)
    house.work()
    assert len(receiver.requests) == 2, "nothing to tell, nothing told"


def test_a_digest_that_fails_is_sent_again_as_a_whole(house, receiver, sessions):
    clear_of_the_full_hour(house)
    receiver.faults = [answer(404)]
    channel_id = house.channel(receiver.url, digest=Digest.HOURLY)
    house.tell("one")
    house.tell("two")
    house.pass_time(HOUR)
    house.work()
    assert {row.state for row in house.deliveries()} == {DeliveryState.FAILED}
    with database.transaction(sessions) as session:
        channel = channel_lifecycle.lock(session, channel_id)
        carrier = session.scalars(
            sa.select(Delivery).where(Delivery.order_key == "digest", Delivery.carrier_id.is_(None))
        ).one()
        dispatch.redeliver(session, channel, carrier)
    assert {row.state for row in house.deliveries()} == {DeliveryState.PENDING}
    house.work()
    first, second = receiver.requests
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)
    assert {row.state for row in house.deliveries()} == {DeliveryState.DELIVERED}


def test_a_large_digest_stays_small_and_says_what_it_leaves_out(house, receiver):
    clear_of_the_full_hour(house)
    house.channel(receiver.url, digest=Digest.HOURLY)
    for number in range(60):
        house.tell_directly(f"number {number}", "ä" * 500)
    house.pass_time(HOUR)
    house.work()
    (request,) = receiver.requests
    data = json.loads(request.body)["data"]
    assert len(request.body) < 20_000
    assert len(data["notifications"]) + data["omitted"] == 60


def test_quiet_hours_hold_what_can_wait(house, receiver):
    with database.reading(house.sessions) as session:
        now = database.now(session)
    quiet = {
        "from": f"{now - dt.timedelta(hours=2):%H:%M}",
        "to": f"{now + dt.timedelta(hours=2):%H:%M}",
        "timezone": "UTC",
    }
    house.channel(receiver.url, quiet_hours=quiet)
    house.tell("can wait", entity="1")
    house.tell("cannot wait", entity="1", priority="critical")
    assert [title(request) for request in receiver.requests] == ["cannot wait"]
    house.pass_time(2 * HOUR)
    house.work()
    assert [title(request) for request in receiver.requests] == ["cannot wait", "can wait"]


def title(request):
    return json.loads(request.body)["data"]["title"]
