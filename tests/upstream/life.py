"""The life of a mirror, a bootstrap by the API and four updates with news, and the faults that fall into it.

After each step whatever the watermark claims is true, the mirror equals its upstream, and the sync's row says what happened.
"""

import dataclasses
import itertools
import random
from collections.abc import Callable, Iterator

from pydantic import SecretStr

from shared.database import Sessions
from shared.models.task import TaskState
from shared.settings import Settings
from tests.upstream import faults
from tests.upstream.faults import Fault
from tests.upstream.mirror import TUNING, Mirror, pointed_at
from tests.upstream.quick import HASTY
from tests.upstream.records import (
    Record,
    make_record,
    make_records,
    text,
    unusable,
    with_new_enum,
    without_cpe_match,
)
from tests.upstream.server import START, Request, Upstream

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

    def __init__(self, seed: int, upstream: Upstream, settings: Settings, sessions: Sessions) -> None:
        self.seed, self.chance = seed, random.Random(seed)
        self.upstream = upstream
        upstream.records = {record["id"]: record for record in make_records(seed, RECORDS, START)}
        upstream.clock = START
        upstream.keys = frozenset({KEY})
        settings = pointed_at(settings, upstream).with_changes(nvd_feed_url="off")
        self.mirror = Mirror(sessions, settings, upstream, dataclasses.replace(TUNING, page_size=PAGE))
        self.mirror.empty()
        self.numbers = itertools.count(5000)

    def begin(self, seed: int) -> None:
        """The next step: as bootstrap if there was none, otherwise as update after some news."""
        self.seed, self.chance = seed, random.Random(seed)
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


def steps(count: int, upstream: Upstream, settings: Settings, sessions: Sessions) -> Iterator[Life]:
    """So many steps, each begun, with a seed of its own; of one life after the other."""
    for seed in range(count):
        if seed % STEPS == 0:
            upstream.forget_requests()
            life = Life(seed, upstream, settings, sessions)
        life.begin(seed)
        yield life


def what_passes(name: str) -> "Step":
    """A fault of one answer that is right when asked for again."""
    fault, says = PASSING[name]

    def step(life: Life) -> None:
        if name == "time-out":
            life.mirror.tuning = dataclasses.replace(life.mirror.tuning, patience=HASTY)
        chosen = life.chance.choices([None, fault], k=3)
        life.upstream.api_faults = [chosen[0], fault, *chosen[1:]]
        told = life.sync()
        assert any(says in each for each in told), told
        assert life.mirror.differences() == []

    return step


def storms(life: Life) -> None:
    """One fault after the other."""
    life.upstream.api_faults = [None, *faults.storm(life.chance, 5), None, *faults.storm(life.chance, 4)]
    assert life.sync()
    assert life.mirror.differences() == []


def what_is_odd(name: str) -> "Step":
    """An answer that looks right."""

    def step(life: Life) -> None:
        life.upstream.api_faults = life.chance.choices([None, ODD[name]], k=6)
        life.sync()
        life.settle()

    return step


def while_paging(happens: Callable[[Life], None], times: int = 1000) -> "Step":
    """Something happens before every second page that is not the first."""

    def step(life: Life) -> None:
        left = iter(range(times))

        def before(request: Request) -> None:
            if request.start > 0 and life.chance.random() < 0.5 and next(left, None) is not None:
                happens(life)

        life.upstream.before = before
        life.sync()
        life.settle()

    return step


def odd_records(change: Callable[[Record], Record]) -> "Step":
    """Some records are not as they should be."""

    def step(life: Life) -> None:
        for name in life.chance.sample(sorted(life.upstream.records), 3):
            life.upstream.modify(name, **change({}))
        life.sync()
        assert life.mirror.differences() == []

    return step


def a_wrong_key(life: Life) -> None:
    """The key is refused from one day to the next."""
    life.settle()
    watermark = life.mirror.coverage.watermark
    life.use_key("wrong")
    task = life.mirror.sync()
    assert task.state == TaskState.FAILURE
    assert "refuses the API key" in life.mirror.last_sync.error
    assert life.mirror.coverage.watermark == watermark


Step = Callable[[Life], None]

TROUBLES: dict[str, Step] = {
    **{name: what_passes(name) for name in PASSING},
    "storm": storms,
    **{name: what_is_odd(name) for name in ODD},
    "records modified while read": while_paging(Life.touch, times=6),
    "totals that grow": while_paging(Life.publish),
    "new enum values": odd_records(with_new_enum),
    "no cpeMatch": odd_records(without_cpe_match),
    "unusable records": odd_records(unusable),
    "wrong key": a_wrong_key,
}
"""Everything that an upstream does to a mirror, by its name: one step of a life with it."""
