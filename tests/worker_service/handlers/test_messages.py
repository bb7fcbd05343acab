"""What messages say; the webhook's body is what the API documents, and the README's receiver takes it."""

import datetime as dt
import json
import re
import uuid
from pathlib import Path

import pytest
from marshmallow import fields

from api_service.schemas.webhooks import WebhookBody
from shared.models.notification import Notification, Priority
from shared.signatures import new_secret, signed_headers
from worker_service.handlers import messages
from worker_service.handlers.summaries import Summary

README = Path(__file__).parents[3] / "README.md"
NOW = dt.datetime(2026, 7, 1, 12, tzinfo=dt.UTC)
ITEM = {
    "finding_id": str(uuid.uuid4()),
    "cve_id": "CVE-2014-0160",
    "component": "openssl",
    "version": "1.0.1f",
    "asset_id": str(uuid.uuid4()),
    "asset": "web shop",
    "severity": "high",
    "score": 7.5,
    "epss": 0.94,
    "kev": True,
}
SCAN = {
    "scan_id": str(uuid.uuid4()),
    "name": "web shop",
    "run_id": str(uuid.uuid4()),
    "status": "completed",
    "trigger": "manual",
    "findings": 3,
    "new": 1,
}


def notification(**values):
    data = Summary(scans=[SCAN], worst=[ITEM], completed=1).data
    return Notification(
        **{
            "id": uuid.uuid4(),
            "type": "scan_completed",
            "title": "Scan completed: web shop",
            "message": "3 open findings",
            "priority": Priority.HIGH,
            "entity_type": "scan",
            "entity_id": "1",
            "created_at": NOW,
            "data": data,
            **values,
        }
    )


def shape(schema):
    """The names in a schema, and in those that it nests."""
    found = {}
    for name, field in schema.fields.items():
        inner = field.inner if isinstance(field, fields.List) else field
        found[name] = shape(inner.schema) if isinstance(inner, fields.Nested) else None
    return found


def shape_of(value):
    if isinstance(value, list):
        value = value[0] if value else None
    return {name: shape_of(each) for name, each in value.items()} if isinstance(value, dict) else None


def test_the_body_has_the_documented_shape():
    body = json.loads(messages.webhook_body([notification()], digest=False))
    assert shape_of(body) == shape(WebhookBody())
    assert WebhookBody.example().keys() == body.keys()


def test_a_body_without_details_or_entity_is_whole():
    body = json.loads(messages.webhook_body([notification(data=None, entity_type=None)], digest=False))
    assert (body["data"]["details"], body["data"]["entity"]) == (None, None)
    assert body["data"]["events"] == ["scan_completed"]


def test_a_long_text_is_cut():
    body = messages.webhook_body([notification(message="x" * 10_000, data=None)], digest=False)
    assert len(json.loads(body)["data"]["message"]) == messages.LONGEST_TEXT


def test_a_mail_names_the_worst_and_the_counts():
    told = notification()
    told.data["counts"] |= {"new": 1, "fixed": 0}
    message = messages.letter("msg_1", [told], digest=False).message
    (item,) = message.items
    assert (item.label, item.detail, item.kev) == ("CVE-2014-0160", "openssl 1.0.1f in web shop", True)
    assert ("New", "1") in message.facts
    assert "Fixed" not in dict(message.facts)


def test_a_digest_is_as_urgent_as_its_worst_and_names_each_once():
    told = [notification(title="one"), notification(title="two", priority=Priority.CRITICAL)]
    message = messages.letter("msg_1", told, digest=True).message
    assert (message.title, message.priority) == ("2 notifications", "critical")
    assert "one" in message.text
    assert "two" in message.text
    assert message.facts == (("Scan completed", "2"),)
    assert [item.label for item in message.items] == ["CVE-2014-0160"]


@pytest.fixture
def verify():
    """The function that the README shows."""
    (code,) = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    scope = {}
    exec(code, scope)
    return scope["verify"]


def test_the_readme_shows_a_receiver_that_takes_what_is_ours_and_nothing_else(verify):
    old, new = new_secret(), new_secret()
    body = messages.webhook_body([notification()], digest=False)
    now = dt.datetime.now(dt.UTC)
    headers = signed_headers("msg_1", now, body, [new, old])
    assert verify(old, headers, body)
    assert verify(new, headers, body)
    assert not verify(new_secret(), headers, body)
    assert not verify(old, headers, body + b" ")
    assert not verify(old, {**headers, "webhook-id": "msg_2"}, body)
    late = signed_headers("msg_1", now - dt.timedelta(minutes=6), body, [old])
    assert not verify(old, late, body)
