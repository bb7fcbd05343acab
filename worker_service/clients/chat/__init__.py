"""Chat: one JSON post to the address that a chat service gives out, in the form that it shows best.

One module per service, each with `payload(message) -> document`. Text is escaped there, so that nothing in it mentions
people, makes links or looks like markup; long messages lose their last items rather than their middle.
"""

import enum
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from worker_service.clients.chat import discord, mattermost, slack, teams
from worker_service.clients.message import Message
from worker_service.clients.outbound import Answer, Outbound


class ChatKind(enum.StrEnum):
    """The services whose form is known."""

    SLACK = "slack"
    TEAMS = "teams"
    DISCORD = "discord"
    MATTERMOST = "mattermost"
    """And whatever takes a post as Mattermost does, such as Rocket.Chat."""


PAYLOADS: dict[ChatKind, Callable[[Message], dict[str, Any]]] = {
    ChatKind.SLACK: slack.payload,
    ChatKind.TEAMS: teams.payload,
    ChatKind.DISCORD: discord.payload,
    ChatKind.MATTERMOST: mattermost.payload,
}

_HOSTS = {
    "hooks.slack.com": ChatKind.SLACK,
    "hooks.slack-gov.com": ChatKind.SLACK,
    "discord.com": ChatKind.DISCORD,
    "discordapp.com": ChatKind.DISCORD,
    "logic.azure.com": ChatKind.TEAMS,
    "logic.azure.us": ChatKind.TEAMS,
    "api.powerplatform.com": ChatKind.TEAMS,
    "webhook.office.com": ChatKind.TEAMS,
}
"""The services that have a host of their own; names below it count as well."""


def recognise(url: str) -> ChatKind:
    """The service behind an address. What has no host of its own is taken for a Mattermost."""
    try:
        host = (urlsplit(url).hostname or "").removesuffix(".")
    except ValueError:
        host = ""
    for known, kind in _HOSTS.items():
        if host == known or host.endswith(f".{known}"):
            return kind
    return ChatKind.MATTERMOST


def send(outbound: Outbound, url: str, message: Message, kind: ChatKind | None = None) -> Answer:
    """Post a message in the form of the service that is given, or recognised from the URL."""
    document = PAYLOADS[kind or recognise(url)](message)
    body = json.dumps(document, ensure_ascii=False).encode("utf-8", "replace")
    return outbound.post(url, body, {"Content-Type": "application/json"})
