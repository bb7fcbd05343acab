"""The promises, one module for each or for a few that are shown by one run.

Each is a function `(bench, size) -> Figures`: it does `size` times what its text says, with the dice of the bench, and
compares what the journal says must be with what is.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.faults.promises import (
    asking,
    cancelling,
    clocks,
    deploying,
    fencing,
    full_disk,
    migrating,
    mirroring,
    poison,
    recovery,
    servers_lost,
    slots,
    slow_receiver,
    telling,
)
from tests.faults.servers import DATABASES


@dataclass(frozen=True)
class Promise:
    """How to put one row of the table, or a few that belong together, to the test."""

    numbers: tuple[str, ...]
    run: Callable[[Bench, int], Iterator[Figure]]
    full: int
    """The size that is promised."""
    usual: int
    """The size of `make faults`."""
    short: int
    """The size in the suite; 0 leaves it out."""
    short_on: tuple[str, ...] = DATABASES
    """Where it runs in the suite: both is `make faults`, the suite has to be quick."""
    databases: tuple[str, ...] = DATABASES
    quick: bool = True
    """Whether leases and sweeps may be shorter than the shipped ones."""
    beside: bool = False
    """Whether it mostly waits, so that both databases have their turn side by side."""
    home: Callable[[str], AbstractContextManager[Path]] | None = None
    """Makes the place in which the database is to lie; raises PermissionError where it cannot be made."""


SQLITE = ("sqlite",)
POSTGRESQL = ("postgresql",)
"""For what a file cannot show: there is no server to restart."""

PROMISES = (
    Promise(("P1",), recovery.work_ends, full=100, usual=100, short=2, quick=False, short_on=POSTGRESQL),
    Promise(
        ("P2",),
        recovery.starts_again,
        full=100,
        usual=12,
        short=1,
        quick=False,
        beside=True,
        short_on=SQLITE,
    ),
    Promise(("P3",), asking.committed_or_nothing, full=200, usual=60, short=2, short_on=SQLITE),
    Promise(("P4",), fencing.written_once, full=100, usual=40, short=2, beside=True, short_on=POSTGRESQL),
    Promise(("P5",), telling.everything_arrives, full=5000, usual=1000, short=40, short_on=SQLITE),
    Promise(("P5b",), telling.nothing_is_told_twice, full=1000, usual=200, short=20, short_on=POSTGRESQL),
    Promise(
        ("P6",), slow_receiver.delays_no_other, full=100, usual=40, short=8, quick=False, short_on=SQLITE
    ),
    Promise(("P9",), servers_lost.redis_lost, full=20, usual=10, short=2, beside=True, short_on=SQLITE),
    Promise(("P10",), servers_lost.database_restarts, full=10, usual=10, short=1, databases=POSTGRESQL),
    Promise(("P11",), mirroring.trouble_upstream, full=20, usual=20, short=0),
    Promise(("P12",), slots.once_per_slot, full=200, usual=200, short=6, short_on=POSTGRESQL),
    Promise(("P13",), poison.poison_is_given_up, full=16, usual=8, short=0),
    Promise(
        ("P14",), cancelling.cancelled_in_time, full=200, usual=200, short=3, quick=False, short_on=SQLITE
    ),
    Promise(
        ("P15",),
        full_disk.full_and_freed,
        full=3,
        usual=2,
        short=1,
        home=full_disk.small_disk,
        short_on=SQLITE,
    ),
    Promise(
        ("P16",), clocks.skew_is_tolerated, full=100, usual=100, short=9, beside=True, short_on=POSTGRESQL
    ),
    Promise(("P22",), deploying.graceful, full=50, usual=16, short=2, beside=True, short_on=SQLITE),
    Promise(("P23",), migrating.interrupted_and_at_once, full=10, usual=4, short=1),
)
