"""Upstream trouble never corrupts, empties or flatters the mirror: every fault, with many seeds."""

import os
from collections.abc import Iterator

import pytest

from shared.database import Sessions
from shared.settings import Settings
from tests.upstream.life import TROUBLES, steps
from tests.upstream.server import Upstream, serving

SEEDS = int(os.environ.get("VEDETTE_TEST_SEEDS", "6"))
"""Steps a fault; `python -m tests.faults P11` takes as many as are promised."""


@pytest.fixture(scope="module")
def fake() -> Iterator[Upstream]:
    with serving(Upstream()) as upstream:
        yield upstream


@pytest.fixture
def engine(sqlite_engine):
    """These run on SQLite: both databases are tried by `python -m tests.faults P11`."""
    return sqlite_engine


@pytest.mark.parametrize("name", TROUBLES)
def test_the_mirror_equals_its_upstream_after(
    name: str, fake: Upstream, settings: Settings, sessions: Sessions
):
    for life in steps(SEEDS, fake, settings, sessions):
        TROUBLES[name](life)
