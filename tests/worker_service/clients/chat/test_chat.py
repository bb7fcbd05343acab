"""Each service's form: what it takes, how much, and that no text in it becomes markup, a mention or a link."""

import datetime as dt
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.receivers.http import Receiver, answer
from worker_service.clients import chat
from worker_service.clients.chat import PAYLOADS, ChatKind, discord, mattermost, slack, teams
from worker_service.clients.message import Item, Message
from worker_service.clients.outbound import Outbound, Outcome

NASTY = [
    "<!channel>", "<!here|x>", "<@U123>", "<#C123>", "<https://evil.example|click>", "@everyone", "@here", "@channel",
    "@all", "<@&123>", "<@!123>", "[click](https://evil.example)", "![x](https://evil.example/x.png)",
    "https://evil.example", "www.evil.example", "**bold** _it_ ~~no~~ `code` ||spoiler||", "# heading", "> quote",
    "- list", "1. list", "| a | b |", "<at>Ada</at>", "&lt;!channel&gt;", "&amp;", "<script>alert(1)</script>",
    "[a]: https://evil.example", "a\\", "](https://evil.example)", "mailto:a@evil.example", "\u202egnp.exe", "a\x00b\x1b[31m",
]  # fmt: skip


def said(text: str) -> Message:
    """A message that says `text` everywhere where somebody's text may stand."""
    item = Item(text, text, None, text)
    return Message(text, text, "high", (item,), ((text, text),), None, dt.datetime(2026, 1, 1, tzinfo=dt.UTC))


def strings(node: Any) -> list[str]:
    """Every text in a document."""
    if isinstance(node, dict):
        return [text for value in node.values() for text in strings(value)]
    if isinstance(node, list):
        return [text for value in node for text in strings(value)]
    return [node] if isinstance(node, str) else []


messages = st.builds(
    Message,
    st.text(),
    st.text() | st.sampled_from(NASTY),
    st.sampled_from(["low", "normal", "high", "critical"]),
    st.lists(
        st.builds(
            Item, st.text(), st.text(), st.none() | st.text() | st.just("https://v.example/a)b>c"), st.text()
        )
    ).map(tuple),
    st.lists(st.tuples(st.text(), st.text())).map(tuple),
    st.none() | st.text() | st.just("https://v.example/"),
    st.datetimes(timezones=st.just(dt.UTC)),
)
HUGE = Message(
    "t*" * 500,
    "x_" * 20_000,
    "critical",
    tuple(
        Item("CVE-2026-12345" * 20, "\u00e9*" * 500, "https://v.example/" + "a" * 2000, "high", kev=True)
        for _ in range(300)
    ),
    tuple(("name*" * 200, "value*" * 2000) for _ in range(60)),
    "https://v.example/" + "b" * 2000,
    dt.datetime(2026, 1, 1, tzinfo=dt.UTC),
)


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://hooks.slack.com/services/T0/B0/x", ChatKind.SLACK),
        ("https://HOOKS.slack.com./services/T0/B0/x", ChatKind.SLACK),
        ("https://discord.com/api/webhooks/1/x", ChatKind.DISCORD),
        ("https://canary.discord.com/api/webhooks/1/x", ChatKind.DISCORD),
        ("https://prod-01.westeurope.logic.azure.com:443/workflows/x/triggers/manual/paths/invoke", ChatKind.TEAMS),
        ("https://default1.2.environment.api.powerplatform.com:443/powerautomate/x", ChatKind.TEAMS),
        ("https://contoso.webhook.office.com/webhookb2/x", ChatKind.TEAMS),
        ("https://mattermost.example.org/hooks/x", ChatKind.MATTERMOST),
        ("https://hooks.slack.com.evil.example/", ChatKind.MATTERMOST),
        ("https://notdiscord.com/", ChatKind.MATTERMOST),
        ("http://[", ChatKind.MATTERMOST),
    ],
)  # fmt: skip
def test_a_service_is_recognised_from_its_host(url: str, kind: ChatKind) -> None:
    assert chat.recognise(url) is kind


def test_every_service_has_a_form() -> None:
    assert set(PAYLOADS) == set(ChatKind)


@pytest.mark.parametrize("kind", ChatKind)
def test_a_message_arrives_with_all_that_it_says(
    receiver: Receiver, outbound: Outbound, message: Message, kind: ChatKind
) -> None:
    assert chat.send(outbound, receiver.url, message, kind).outcome is Outcome.DELIVERED
    (request,) = receiver.requests
    assert request.headers["content-type"] == "application/json"
    shown = "\n".join(strings(json.loads(request.body))).replace("\\", "")
    for text in (
        message.title,
        "The scan nightly is over.",
        "New",
        "3",
        "critical",
        "known exploited",
        message.link,
    ):
        assert text
        assert text in shown
    for item in message.items:
        assert item.label in shown
        assert item.detail in shown
        assert not item.url or item.url in shown


@pytest.mark.parametrize("seconds", ["1", "30"])
def test_a_service_that_asks_for_patience_is_given_it(
    receiver: Receiver, outbound: Outbound, message: Message, seconds: str
) -> None:
    receiver.faults = [answer(429, '{"retry_after": 99}', Retry_After=seconds)]
    answered = chat.send(outbound, receiver.url, message)
    assert (answered.outcome, answered.retry_after) == (Outcome.RETRY, float(seconds))


@given(messages, st.sampled_from(ChatKind))
def test_any_message_becomes_json(message: Message, kind: ChatKind) -> None:
    json.dumps(PAYLOADS[kind](message), allow_nan=False).encode()


@given(messages)
def test_slack_takes_it(message: Message) -> None:
    within_slack(slack.payload(message))


def test_slack_takes_the_largest() -> None:
    within_slack(slack.payload(HUGE))


def within_slack(document: dict[str, Any]) -> None:
    assert document["text"]
    assert 0 < len(document["blocks"]) <= 50
    for block in document["blocks"]:
        fields = block.get("fields", [])
        assert len(fields) <= 10
        assert all(0 < len(field["text"]) <= 2000 for field in fields)
        if "text" in block:
            assert 0 < len(block["text"]["text"]) <= (150 if block["type"] == "header" else 3000)


@given(messages)
def test_discord_takes_it(message: Message) -> None:
    within_discord(discord.payload(message))


def test_discord_takes_the_largest() -> None:
    within_discord(discord.payload(HUGE))


def within_discord(document: dict[str, Any]) -> None:
    (embed,) = document["embeds"]
    fields = embed["fields"]
    assert document["allowed_mentions"] == {"parse": []}
    assert len(embed["title"]) <= 256
    assert len(embed["description"]) <= 4096
    assert len(fields) <= 25
    assert all(0 < len(f["name"]) <= 256 and 0 < len(f["value"]) <= 1024 for f in fields)
    assert (
        len(embed["title"]) + len(embed["description"]) + sum(len(f["name"] + f["value"]) for f in fields)
        <= 6000
    )


@given(messages)
def test_teams_takes_it(message: Message) -> None:
    assert len(json.dumps(teams.payload(message)).encode()) <= teams.LARGEST_POST


def test_teams_takes_the_largest() -> None:
    document = teams.payload(HUGE)
    assert len(json.dumps(document).encode()) <= teams.LARGEST_POST
    assert any("more" in text for text in strings(document))


@given(messages)
def test_mattermost_takes_it(message: Message) -> None:
    assert len(mattermost.payload(message)["text"]) <= 16_383


def test_mattermost_takes_the_largest() -> None:
    text = mattermost.payload(HUGE)["text"]
    assert len(text) <= 16_383
    assert re.search(r"\u2026 and \d+ more", text)


@pytest.mark.parametrize("text", NASTY)
def test_slack_reads_nothing_into_a_text(text: str) -> None:
    """Its markup has `<`, `>` and `&`, and only in fields that say they are markup."""
    for block in slack.payload(said(text))["blocks"]:
        for each in [block.get("text"), *block.get("fields", [])]:
            if each and each["type"] == "mrkdwn":
                assert each["verbatim"] is True
                assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", each["text"])
    assert not re.search(r"[<>]", slack.payload(said(text))["text"])


@pytest.mark.parametrize("text", NASTY)
def test_teams_gets_text_runs_only(text: str) -> None:
    """Text runs know no markup (https://adaptivecards.io/explorer/TextRun.html)."""
    (attachment,) = teams.payload(said(text))["attachments"]
    card = attachment["content"]
    assert "msteams" not in card
    for block in card["body"]:
        assert block["type"] == "RichTextBlock"
        assert all(run["type"] == "TextRun" for run in block["inlines"])


@pytest.mark.parametrize("payload", [mattermost.payload, discord.payload])
@pytest.mark.parametrize("text", NASTY)
def test_markdown_is_shown_as_text(payload: Any, text: str) -> None:
    for shown in strings(payload(said(text))):
        bare = re.sub(r"\\[\\`*_{}\[\]|~>]", "", shown)  # what is escaped stands for itself
        assert not re.search(r"@\w", bare)
        assert not re.search(r"<[@#!:/a-zA-Z]", bare)
        assert not re.search(r"\]\(|\]:|\]\[", bare)
        assert "://" not in bare
        assert not re.search(r"\bwww\.", bare)
        for line in bare.splitlines()[1:]:
            assert not re.match(r"\s*(#|>|\d+[.)] |\+ )", line)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "https://user:pass@evil.example/",
        "//evil.example",
        "https://",
        "x" * 3000,
        "http://[",
    ],
)
@pytest.mark.parametrize("kind", ChatKind)
def test_only_web_addresses_become_links(kind: ChatKind, url: str) -> None:
    message = Message(
        "t", "", "low", (Item("CVE-1", "x", url),), (), url, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    assert url not in json.dumps(PAYLOADS[kind](message))


@pytest.mark.parametrize("kind", ChatKind)
def test_a_link_ends_where_it_ends(kind: ChatKind) -> None:
    url = "https://v.example/a)b>c|d\"e f'g"
    message = Message(
        "t", "", "low", (Item("CVE-1", "x", url),), (), None, dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
    )
    (shown,) = [text for text in strings(PAYLOADS[kind](message)) if "v.example" in text]
    assert "https://v.example/a%29b%3Ec%7Cd%22e%20f%27g" in shown
