"""How a receiver knows that a webhook is ours: Standard Webhooks (https://www.standardwebhooks.com), version 1.

What is signed is `id.timestamp.body`, with HMAC-SHA256 under the secret that the receiver was told. During a rotation a
message bears one signature for each secret that lives.
"""

import base64
import binascii
import datetime as dt
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence

from shared.errors import Invalid

PREFIX = "whsec_"
SECRET_BYTES = (24, 64)
"""The least and the most bytes of a secret."""


def new_secret() -> str:
    """A new secret, to be shown once."""
    return PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def read_secret(secret: str) -> bytes:
    """The key in a secret. Raises Invalid when it is not `whsec_` and base64 of as many bytes as there may be."""
    least, most = SECRET_BYTES
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(PREFIX) or not least <= len(key) <= most:
        raise Invalid(f"A webhook's secret must be {PREFIX} and base64 of {least} to {most} bytes.")
    return key


def signed_headers(
    message_id: str, moment: dt.datetime, body: bytes, keys: Sequence[str]
) -> Mapping[str, str]:
    """The headers that identify and sign a message, one signature for each of `keys`. Raises Invalid as `read_secret`.

    `message_id` stays the same when a message is sent again; `moment`, the time of this attempt, does not.
    """
    timestamp = str(int(moment.timestamp()))
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = [hmac.digest(read_secret(key), signed, hashlib.sha256) for key in keys]
    return {
        "webhook-id": message_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": " ".join("v1," + base64.b64encode(digest).decode() for digest in digests),
    }
