import datetime as dt
from collections.abc import Iterator

import pytest

from shared.destinations import Destinations
from tests.receivers.http import Receiver, receiving
from worker_service.clients.message import Item, Message
from worker_service.clients.outbound import Outbound, Timeouts

QUICK = Timeouts(total=0.6, connect=0.3, drain=0.1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """A webhook receiver on loopback."""
    with receiving() as each:
        yield each


@pytest.fixture
def outbound(receiver: Receiver) -> Outbound:
    """Posts that may go to the receiver and nowhere else inside."""
    return Outbound(Destinations.parse(f"127.0.0.1:{receiver.port}"), timeouts=QUICK)


@pytest.fixture
def message() -> Message:
    """A message with one of everything."""
    return Message(
        title="3 new findings in shop",
        text="The scan nightly is over.\nThree findings are new.",
        priority="critical",
        items=(
            Item("CVE-2021-44228", "log4j-core 2.14.1", "https://vedette.example/f/1", "critical", kev=True),
            Item("CVE-2014-0160", "openssl 1.0.1f", "https://vedette.example/f/2", "high"),
            Item("CVE-2020-0001", "left-pad 1.0"),
        ),
        facts=(("New", "3"), ("Fixed", "0")),
        link="https://vedette.example/scans/1",
        sent_at=dt.datetime(2026, 7, 1, 12, 30, tzinfo=dt.UTC),
    )
