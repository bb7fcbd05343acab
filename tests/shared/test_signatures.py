"""Against the published library of Standard Webhooks, as a receiver would use it."""

import base64
import datetime as dt
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from shared.errors import Invalid
from shared.signatures import new_secret, read_secret, signed_headers


def now():
    return dt.datetime.now(dt.UTC)


@given(st.dictionaries(st.text(), st.text() | st.integers()), st.uuids())
def test_the_published_library_verifies(document, message_id):

    body, secret = json.dumps(document).encode(), new_secret()
    headers = signed_headers(str(message_id), now(), body, [secret])
    assert Webhook(secret).verify(body, dict(headers)) == document


def test_both_secrets_verify_during_a_rotation():
    new, old = new_secret(), new_secret()
    headers = dict(signed_headers("msg_1", now(), b"{}", [new, old]))
    for secret in (new, old):
        assert Webhook(secret).verify(b"{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(b"{}", headers)


@pytest.mark.parametrize("change", ["webhook-id", "webhook-timestamp", "body"])
def test_what_was_changed_on_the_way_does_not_verify(change):
    secret = new_secret()
    headers = dict(signed_headers("msg_1", now(), b"{}", [secret]))
    body = b"[]" if change == "body" else b"{}"
    if change in headers:
        headers[change] = "msg_2" if change == "webhook-id" else str(int(headers[change]) - 1)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_a_repeat_is_signed_anew_with_the_same_id():
    secret, first = new_secret(), now()
    one = signed_headers("msg_1", first, b"{}", [secret])
    two = signed_headers("msg_1", first + dt.timedelta(seconds=5), b"{}", [secret])
    assert one["webhook-id"] == two["webhook-id"]
    assert one["webhook-signature"] != two["webhook-signature"]


def test_the_example_of_the_specification():
    """Symmetric example of the specification's reference implementations."""
    headers = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        dt.datetime.fromtimestamp(1614265330, dt.UTC),
        b'{"test": 2432232314}',
        ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("size", [24, 32, 64])
def test_secrets_of_the_allowed_sizes_are_read(size):
    assert len(read_secret("whsec_" + base64.b64encode(bytes(size)).decode())) == size


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        base64.b64encode(bytes(32)).decode(),
        "whsec_not base64 at all, but long enough!",
        "whsec_\xe9" + base64.b64encode(bytes(32)).decode(),
    ],
)
def test_anything_else_is_no_secret(secret):
    with pytest.raises(Invalid, match="whsec_"):
        read_secret(secret)


def test_a_new_secret_is_one_and_another_every_time():
    assert len(read_secret(new_secret())) == 32
    assert new_secret() != new_secret()
