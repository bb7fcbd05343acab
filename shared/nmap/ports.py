"""Sets of ports: what somebody asks for, and what nmap says that it looked at."""

import re
from dataclasses import dataclass
from typing import Self

MAX_PORT = 65_535
MAX_TEXT = 2_000
_ITEM = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")
_TOP = re.compile(r"top-([0-9]{1,4})")


class PortsError(ValueError):
    """A text that names no ports; the message says why."""


@dataclass(frozen=True)
class Ports:
    """Ports by number, as ascending ranges that do not touch."""

    ranges: tuple[tuple[int, int], ...] = ()

    @classmethod
    def of(cls, ranges: list[tuple[int, int]]) -> Self:
        """From ranges in any order, overlapping or not."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(ranges):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        return cls(tuple(merged))

    def __contains__(self, number: int) -> bool:
        return any(first <= number <= last for first, last in self.ranges)

    def __or__(self, other: Self) -> Self:
        return type(self).of([*self.ranges, *other.ranges])

    def __str__(self) -> str:
        """As nmap takes them: ``22,80-90``."""
        return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in self.ranges)


def parse_numbers(text: str) -> Ports:
    """``22,80,8000-8100``. Raises PortsError."""
    ranges = []
    for item in text.split(","):
        found = _ITEM.fullmatch(item.strip(" "))
        if found is None:
            raise PortsError(f"{item[:40]!r} is neither a port nor a range of ports")
        first, last = int(found[1]), int(found[2] or found[1])
        if not 1 <= first <= last <= MAX_PORT:
            raise PortsError(f"{item[:40]!r} is not within 1 to {MAX_PORT}, from the lower to the higher")
        ranges.append((first, last))
    return Ports.of(ranges)


def parse(text: str) -> Ports | int:
    """What somebody asks for: ports by number, or for ``top-100`` how many of the most common. Raises PortsError."""
    if len(text) > MAX_TEXT:
        raise PortsError(f"the list is longer than {MAX_TEXT:,} characters")
    found = _TOP.fullmatch(text)
    if found is None:
        return parse_numbers(text)
    if not 1 <= int(found[1]) <= 1_000:
        raise PortsError("of the most common ports 1 to 1000 can be asked for, such as top-100")
    return int(found[1])
