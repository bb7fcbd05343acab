"""One's own notification channels."""

import uuid
from typing import Any

from flask import Response, jsonify

from api_service.auth import principal
from api_service.blueprint import PREFIX, Blueprint
from api_service.context import sessions, settings
from api_service.idempotency import Answer, once
from api_service.paging import Page
from api_service.resources.waiting import wait_for_end
from api_service.schemas.base import PageQuery
from api_service.schemas.channels import (
    ChannelChange,
    ChannelCreate,
    ChannelRules,
    ChannelSchema,
    ChannelTestSchema,
    NewChannelSchema,
    PreviewSchema,
)
from api_service.schemas.tasks import AcceptedSchema
from api_service.services import channels, previews
from api_service.services.channels import Vault
from api_service.services.previews import Preview
from shared import database
from shared.destinations import Destinations
from shared.encryption import Cipher
from shared.errors import Conflict
from shared.models.channel import Channel
from shared.models.user import Role

blueprint = Blueprint("notification-channels", "Where and when the caller wants to be told.")

CHANNELS = "/notification-channels"
CHANNEL = f"{CHANNELS}/<uuid:channel_id>"
TEST_SECONDS = 25.0
"""How long a test waits for its outcome: more than a receiver is given."""


def _vault() -> Vault:
    return Vault(Cipher.of(settings()), Destinations.of(settings()))


@blueprint.operation("POST", CHANNELS, role=Role.VIEWER, raises=(Conflict,), idempotent=True)
@blueprint.arguments(ChannelCreate)
@blueprint.response(201, NewChannelSchema, headers={"Location": "LOCATION"})
def create_channel(body: dict[str, Any]) -> Response:
    """Add a channel.

    Everything that the application tells from then on goes out through it too, as its preferences say. A webhook's secret is
    shown once. URLs that lead to internal addresses are refused unless `VEDETTE_ALLOWED_DESTINATIONS` lists them.
    """
    vault = _vault()
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            channel, secret = channels.create_channel(session, principal(), vault, body)
            shown = {**ChannelSchema().dump(channel), "secret": secret}
            return Answer(shown, 201, f"{PREFIX}{CHANNELS}/{channel.id}", hidden=frozenset({"secret"}))

        return once(session, act)


@blueprint.operation("GET", CHANNELS, role=Role.VIEWER)
@blueprint.arguments(PageQuery, location="query")
@blueprint.page(ChannelSchema)
def list_channels(query: dict[str, Any]) -> Page[Channel]:
    """List one's own channels.

    Newest first.
    """
    with database.reading(sessions()) as session:
        return channels.list_channels(session, principal(), **query)


@blueprint.operation("GET", CHANNEL, role=Role.VIEWER)
@blueprint.response(200, ChannelSchema)
def get_channel(channel_id: uuid.UUID) -> Channel:
    """Show a channel."""
    with database.reading(sessions()) as session:
        return channels.get_channel(session, principal(), channel_id)


@blueprint.operation("PATCH", CHANNEL, role=Role.VIEWER)
@blueprint.arguments(ChannelChange)
@blueprint.response(200, ChannelSchema)
def change_channel(body: dict[str, Any], channel_id: uuid.UUID) -> Channel:
    """Change a channel.

    What is on its way keeps the time that it has.
    """
    vault = _vault()
    with database.transaction(sessions()) as session:
        return channels.change_channel(session, principal(), vault, channel_id, body)


@blueprint.operation("DELETE", CHANNEL, role=Role.VIEWER)
@blueprint.response(204)
def delete_channel(channel_id: uuid.UUID) -> None:
    """Delete a channel.

    With its deliveries; what it has not sent yet is not sent.
    """
    with database.transaction(sessions()) as session:
        channels.delete_channel(session, principal(), channel_id)


@blueprint.operation("POST", f"{CHANNEL}/test", role=Role.VIEWER, idempotent=True)
@blueprint.response(200, ChannelTestSchema)
@blueprint.alt_response(
    202,
    schema=AcceptedSchema,
    example=AcceptedSchema.example(),
    headers={"Location": "LOCATION"},
    description="No worker has done it in time; it will be done.",
)
def try_channel(channel_id: uuid.UUID) -> Response:
    """Send a test message through a channel.

    At once, whatever its preferences and its state; the answer says what came of it. One test of a user is under way at a
    time.
    """
    asked: list[uuid.UUID] = []
    with database.transaction(sessions()) as session:

        def act() -> Answer:
            task_id, attempt_id = channels.ask_for_test(session, principal(), channel_id)
            asked.extend((task_id, attempt_id))
            return Answer(AcceptedSchema().dump({"task_id": task_id}), 202, f"{PREFIX}/tasks/{task_id}")

        accepted = once(session, act)
    if not asked:
        return accepted  # a repeated request: the first one answers what came of it
    task_id, attempt_id = asked
    wait_for_end(task_id, TEST_SECONDS)
    with database.reading(sessions()) as session:
        attempt = channels.find_attempt(session, attempt_id)
    if attempt is None or attempt.outcome is None:
        return accepted
    return jsonify(ChannelTestSchema().dump(attempt))


@blueprint.operation("POST", f"{CHANNEL}/rotate-secret", role=Role.VIEWER, raises=(Conflict,))
@blueprint.response(200, NewChannelSchema)
def rotate_secret(channel_id: uuid.UUID) -> Response:
    """Give a webhook a new secret.

    It is shown once. For a day messages bear two signatures, by the new secret and by the one before, so that the receiver
    can change over without a gap.
    """
    vault = _vault()
    with database.transaction(sessions()) as session:
        channel, secret = channels.rotate_secret(session, principal(), vault, channel_id)
        return jsonify({**ChannelSchema().dump(channel), "secret": secret})


@blueprint.operation("POST", f"{CHANNEL}/resume", role=Role.VIEWER, raises=(Conflict,))
@blueprint.response(200, ChannelSchema)
def resume_channel(channel_id: uuid.UUID) -> Channel:
    """Use a paused or disabled channel again.

    What waited for it goes out. Refused while it is active.
    """
    with database.transaction(sessions()) as session:
        return channels.resume_channel(session, principal(), channel_id)


@blueprint.operation("POST", f"{CHANNEL}/preview", role=Role.VIEWER)
@blueprint.arguments(ChannelRules, required=False)
@blueprint.response(200, PreviewSchema)
def preview_channel(body: dict[str, Any], channel_id: uuid.UUID) -> Preview:
    """Show what a channel would have sent.

    Of what the caller was told over the last 30 days, by the channel's rules or with the changes to them that are sent. Nothing
    goes out and nothing is changed.
    """
    with database.reading(sessions()) as session:
        return previews.preview(session, principal(), channel_id, body)
