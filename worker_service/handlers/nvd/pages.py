"""When the pages of one question add up to its whole answer: pure, no database, no network.

The NVD's records move while they are being paged. A question about a past `lastMod` window can only lose records (they
are modified again and leave it), and whoever loses one shifts the rest: a record may slip from a page that is still to be
read to one that has been. So such a window is complete only if no answer changed its total and as many distinct ids
came. The question about everything can only gain records, so ids from several readings of it may be put together.
"""

import datetime as dt
from dataclasses import dataclass, field


@dataclass
class Pages:
    """The pages of one pass over a question, in whatever order they come."""

    size: int
    """Of a full page."""
    growing: bool
    """The question is the one about everything: what it has can only become more."""
    total: int | None = None
    """By the last answer; None before the first."""
    steady: bool = True
    """No answer named another total than the one before."""
    timestamp: dt.datetime | None = None
    """The earliest of all answers: what changed before it has been seen."""
    seen: set[int] = field(default_factory=set)
    """Keys of the records."""
    _ends: dict[int, int] = field(default_factory=dict)

    def add(self, start: int, end: int, total: int, timestamp: dt.datetime) -> None:
        """An answer came."""
        self.steady = self.steady and self.total in (None, total)
        self.total = total
        self.timestamp = min(self.timestamp or timestamp, timestamp)
        self._ends[start] = max(end, self._ends.get(start, end))

    def wanted(self, busy: set[int], most: int) -> list[int]:
        """Where the next pages begin that nobody asks for yet; at most `most`, only the first before the total is known."""
        if self.total is None:
            return [] if 0 in busy else [0]
        if self.growing and self.complete:
            return []
        starts: list[int] = []
        at = 0
        while at < self.total and len(starts) < most:
            if at in self._ends and self._ends[at] > at:
                at = self._ends[at]
                continue
            if at not in busy:
                starts.append(at)
            at += self.size
        return starts

    @property
    def complete(self) -> bool:
        """As many distinct ids as the total came, and nothing speaks against it."""
        return len(self.seen) == self.total and (self.growing or self.steady)

    def again(self) -> "Pages":
        """A new pass. Of everything, what was seen remains seen, unless more was seen than there is."""
        keep = self.growing and self.total is not None and len(self.seen) <= self.total
        # What changed since the first answer of the first pass must still be asked for afterwards.
        return Pages(self.size, self.growing, timestamp=self.timestamp, seen=self.seen if keep else set())
