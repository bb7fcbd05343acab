"""What a version scheme is: a name, a sort key, and the other spellings of a version."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


def no_other_spellings(_version: str) -> tuple[str, ...]:
    """For schemes in which a version is named in one way only."""
    return ()


@dataclass(frozen=True, slots=True)
class Scheme:
    """One ecosystem's order of versions."""

    name: str
    """How evidence names it."""

    purl_types: tuple[str, ...]
    """The package URL types whose versions follow it."""

    key: Callable[[str], Any]
    """The sort key of a version, comparable by < and == with the scheme's others; None if it is not one."""

    spellings: Callable[[str], tuple[str, ...]] = no_other_spellings
    """Other texts by which a dictionary may name the same version (``1.0+build5`` is listed as ``1.0``)."""

    def compare(self, left: str, right: str) -> int | None:
        """-1, 0 or 1 as left is before, equal to or after right; None when this scheme cannot say."""
        return compare_keys(self.key(left), self.key(right))


def compare_keys(left: Any, right: Any) -> int | None:
    """-1, 0 or 1 for two keys of one scheme; None when either is missing or their families differ."""
    if left is None or right is None or getattr(left, "family", None) != getattr(right, "family", None):
        return None
    if left == right:
        return 0
    return -1 if left < right else 1
