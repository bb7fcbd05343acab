"""The promises, one module for each or for a few that are shown by one run.

Each is a function `(bench, size) -> Figures`: it does `size` times what its text says, with the dice of the bench, and
compares what the journal says must be with what is.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.faults.bench import Bench
from tests.faults.figures import Figure
from tests.faults.promises import asking, fencing, recovery
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
    """The size in the suite."""
    databases: tuple[str, ...] = DATABASES
    quick: bool = True
    """Whether leases and sweeps may be shorter than the shipped ones."""


PROMISES = (
    Promise(("P1", "P2"), recovery.work_ends, full=100, usual=100, short=3, quick=False),
    Promise(("P3",), asking.committed_or_nothing, full=200, usual=100, short=2),
    Promise(("P4",), fencing.written_once, full=100, usual=40, short=2),
)
