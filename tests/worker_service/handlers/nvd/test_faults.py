"""Upstream trouble never corrupts, empties or flatters the mirror: every fault, with many seeds.

In the life of a mirror, a bootstrap by the API and four updates with news, a fault falls at random places. After each step
whatever the watermark claims is true, the mirror equals its upstream, and the sync's row says what happened.
"""

import dataclasses
import itertools
import os
import random
from collections.abc import Callable, Iterator

import pytest
from pydantic import SecretStr

from shared import database
from shared.database import Sessions
from shared.models.base import Base
from shared.models.task import TaskState
from shared.settings import Settings
from tests.upstream import faults
from tests.upstream.faults import Fault
from tests.upstream.mirror import TUNING, Mirror, pointed_at
from tests.upstream.quick import HASTY
from tests.upstream.records import make_record, make_records, text, unusable, with_new_enum, without_cpe_match
from tests.upstream.server import START, Request, Upstream, serving

SEEDS = int(os.environ.get("VEDETTE_TEST_SEEDS", "6"))
"""Steps a fault; the promise (every fault with 20) is checked with VEDETTE_TEST_SEEDS=20."""
STEPS = 5
RECORDS = 60
PAGE = 12
KEY = "the-key"

PASSING: dict[str, tuple[Fault, str]] = {
    "403": (faults.forbidden, "answered 403"),
    "429": (faults.too_many("0"), "answered 429"),
    "503": (faults.unavailable, "answered 503 with an HTML page"),
    "time-out": (faults.silence(0.4), "did not answer within"),
    "cut": (faults.cut, "broke off"),
    "hung up": (faults.hung_up, "hung up"),
    "truncated": (faults.truncated, "breaks off or is damaged"),
    "html": (faults.html, "HTML page where JSON belongs"),
    "other json": (faults.other_json, "no page of records"),
    "empty page": (faults.empty_page, "empty page"),
}
ODD: dict[str, Fault] = {
    "short page": faults.short_page,
    "repeated id": faults.repeated,
    "late clock": faults.late_clock,
}


class Life:
    """A mirror and its upstream, from the first record on."""

    def __init__(self, seed: int, upstream: Upstream, settings: Settings, sessions: Sessions):
        self.chance = random.Random(seed)
        self.upstream = upstream
        with database.transaction(sessions) as session:
            for table in reversed(Base.metadata.sorted_tables):
                session.execute(table.delete())
        upstream.records = {record["id"]: record for record in make_records(seed, RECORDS, START)}
        upstream.clock = START
        upstream.keys = frozenset({KEY})
        settings = pointed_at(settings, upstream).with_changes(nvd_feed_url="off")
        self.mirror = Mirror(sessions, settings, upstream, dataclasses.replace(TUNING, page_size=PAGE))
        self.numbers = itertools.count(5000)

    def begin(self, seed: int) -> None:
        """The next step: as bootstrap if there was none, otherwise as update after some news."""
        self.chance = random.Random(seed)
        self.upstream.faults, self.upstream.api_faults = [], []
        self.upstream.before = lambda _request: None
        self.use_key(self.chance.choice([None, KEY]))
        if self.upstream.requests:
            self.news()
        self.upstream.forget_requests()

    def use_key(self, key: str | None) -> None:
        self.mirror.settings = self.mirror.settings.with_changes(nvd_api_key=SecretStr(key) if key else None)

    def news(self) -> None:
        """Records change, and some are new: three pages of them."""
        for name in self.chance.sample(sorted(self.upstream.records), 2 * PAGE):
            self.upstream.modify(name, vulnStatus="Modified")
        for _ in range(3):
            self.publish()

    def publish(self) -> None:
        """A record is new."""
        self.upstream.add(make_record(f"CVE-2024-{next(self.numbers)}", self.upstream.clock, self.chance))

    def touch(self) -> None:
        """A record is modified."""
        self.upstream.modify(self.chance.choice(sorted(self.upstream.records)), vulnStatus="Modified")

    def sync(self) -> dict[str, int]:
        """A sync that must succeed; whatever was claimed must be true. Gives its troubles."""
        task = self.mirror.sync()
        assert task.state == TaskState.SUCCESS, task.error
        assert len(self.upstream.requests) < 60
        watermark = self.mirror.coverage.watermark
        assert watermark <= self.upstream.clock
        late = {
            name for name, record in self.upstream.records.items() if record["lastModified"] > text(watermark)
        }
        assert [each for each in self.mirror.differences() if each.partition(":")[0] not in late] == []
        return self.mirror.last_sync.troubles or {}

    def settle(self) -> None:
        """Without faults, the next sync makes the mirror equal to its upstream, late records included."""
        self.upstream.faults, self.upstream.api_faults = [], []
        self.upstream.before = lambda _request: None
        self.sync()
        assert self.mirror.differences() == []


@pytest.fixture(scope="module")
def fake() -> Iterator[Upstream]:
    with serving(Upstream()) as upstream:
        yield upstream


@pytest.fixture
def engine(sqlite_engine):
    """These run on SQLite: what they try is the same on both databases."""
    return sqlite_engine


@pytest.fixture
def lives(fake: Upstream, settings: Settings, sessions: Sessions) -> Iterator[Life]:
    """Steps of one life after the other; each begun."""

    def each() -> Iterator[Life]:
        for seed in range(SEEDS):
            if seed % STEPS == 0:
                fake.forget_requests()
                life = Life(seed, fake, settings, sessions)
            life.begin(seed)
            yield life

    return each()


@pytest.mark.parametrize("name", PASSING)
def test_what_passes(lives: Iterator[Life], name: str):
    fault, says = PASSING[name]
    for life in lives:
        if name == "time-out":
            life.mirror.tuning = dataclasses.replace(life.mirror.tuning, patience=HASTY)
        life.upstream.api_faults = [
            life.chance.choice([None, fault]),
            fault,
            *life.chance.choices([None, fault], k=2),
        ]
        told = life.sync()
        assert any(says in each for each in told), told
        assert life.mirror.differences() == []


def test_storms(lives: Iterator[Life]):
    for life in lives:
        life.upstream.api_faults = [None, *faults.storm(life.chance, 5), None, *faults.storm(life.chance, 4)]
        assert life.sync()
        assert life.mirror.differences() == []


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd(lives: Iterator[Life], name: str):
    for life in lives:
        life.upstream.api_faults = life.chance.choices([None, ODD[name]], k=6)
        life.sync()
        life.settle()


def while_paging(life: Life, happens: Callable[[], None], times: int = 1000) -> None:
    """Let something happen before every second page that is not the first."""
    left = iter(range(times))

    def before(request: Request) -> None:
        if request.start > 0 and life.chance.random() < 0.5 and next(left, None) is not None:
            happens()

    life.upstream.before = before


def test_records_that_are_modified_while_they_are_read(lives: Iterator[Life]):
    for life in lives:
        while_paging(life, life.touch, times=6)
        life.sync()
        life.settle()


def test_totals_that_grow_while_pages_are_read(lives: Iterator[Life]):
    for life in lives:
        while_paging(life, life.publish)
        life.sync()
        life.settle()


@pytest.mark.parametrize("change", [with_new_enum, without_cpe_match, unusable])
def test_odd_records(lives: Iterator[Life], change: Callable[[dict], dict]):
    for life in lives:
        for name in life.chance.sample(sorted(life.upstream.records), 3):
            life.upstream.modify(name, **change({}))
        life.sync()
        assert life.mirror.differences() == []


def test_a_wrong_key(lives: Iterator[Life]):
    for life in lives:
        life.settle()
        watermark = life.mirror.coverage.watermark
        life.use_key("wrong")
        task = life.mirror.sync()
        assert task.state == TaskState.FAILURE
        assert "refuses the API key" in life.mirror.last_sync.error
        assert life.mirror.coverage.watermark == watermark
