"""A receiver on loopback verifies what arrives with the published library of Standard Webhooks."""

import datetime as dt
import json

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from shared.signatures import new_secret
from tests.receivers.http import Receiver, answer
from worker_service.clients import webhook
from worker_service.clients.outbound import Outbound, Outcome

BODY = json.dumps({"type": "new_findings", "data": {"new": 3, "asset": "caf\u00e9"}}).encode()


def test_what_arrives_verifies(receiver: Receiver, outbound: Outbound) -> None:
    secret = new_secret()
    sent = webhook.send(
        outbound, receiver.url, BODY, message_id="msg_1", secrets=[secret], now=dt.datetime.now(dt.UTC)
    )
    (request,) = receiver.requests
    assert (sent.outcome, sent.status) == (Outcome.DELIVERED, 200)
    assert Webhook(secret).verify(request.body, request.headers) == json.loads(BODY)
    assert request.body == BODY
    assert request.headers["content-type"] == "application/json"


def test_a_rotation_has_no_gap(receiver: Receiver, outbound: Outbound) -> None:
    """Whatever a receiver holds, the old secret or the new, every message verifies until the old one is dropped."""
    old, new = new_secret(), new_secret()
    for secrets in ([old], [new, old], [new]):
        webhook.send(
            outbound, receiver.url, BODY, message_id="m", secrets=secrets, now=dt.datetime.now(dt.UTC)
        )
    first, both, last = receiver.requests
    Webhook(old).verify(first.body, first.headers)
    Webhook(old).verify(both.body, both.headers)
    Webhook(new).verify(both.body, both.headers)
    Webhook(new).verify(last.body, last.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(last.body, last.headers)


def test_a_repeat_bears_the_same_id_and_its_own_time(receiver: Receiver, outbound: Outbound) -> None:
    secret, now = new_secret(), dt.datetime.now(dt.UTC)
    receiver.faults = [answer(500)]
    for moment in (now, now + dt.timedelta(seconds=5)):
        webhook.send(outbound, receiver.url, BODY, message_id="msg_1", secrets=[secret], now=moment)
    first, second = receiver.requests
    assert first.headers["webhook-id"] == second.headers["webhook-id"] == "msg_1"
    assert int(second.headers["webhook-timestamp"]) - int(first.headers["webhook-timestamp"]) == 5
    for request in receiver.requests:
        Webhook(secret).verify(request.body, request.headers)


def test_a_message_that_is_too_old_does_not_verify(receiver: Receiver, outbound: Outbound) -> None:
    secret, past = new_secret(), dt.datetime.now(dt.UTC) - dt.timedelta(seconds=400)
    webhook.send(outbound, receiver.url, BODY, message_id="msg_1", secrets=[secret], now=past)
    (request,) = receiver.requests
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(request.body, request.headers)


def test_a_secret_that_is_none_is_said_and_nothing_is_sent(receiver: Receiver, outbound: Outbound) -> None:
    sent = webhook.send(
        outbound, receiver.url, BODY, message_id="m", secrets=["hunter2"], now=dt.datetime.now(dt.UTC)
    )
    assert sent.outcome is Outcome.REFUSED
    assert "hunter2" not in sent.detail
    assert not receiver.requests
