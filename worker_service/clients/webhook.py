"""Webhooks: a JSON document, signed after Standard Webhooks (https://www.standardwebhooks.com)."""

import datetime as dt
from collections.abc import Sequence

from shared.errors import Invalid
from shared.signatures import signed_headers
from worker_service.clients.outbound import Answer, Outbound, Outcome


def send(
    outbound: Outbound,
    url: str,
    body: bytes,
    *,
    message_id: str,
    secrets: Sequence[str],
    now: dt.datetime,
) -> Answer:
    """Post a JSON document, signed with each of the live secrets.

    `message_id` is the same in every attempt, so that a receiver can tell a repeat; `now` is the time of this one, which
    receivers compare with their clock (they allow 300 s).
    """
    try:
        signed = signed_headers(message_id, now, body, secrets)
    except Invalid as error:
        return Answer(Outcome.REFUSED, None, 0.0, error.detail)
    return outbound.post(url, body, {"Content-Type": "application/json", **signed})
