"""Composer's versions (PHP): up to four numbers and a stability, as its version parser normalises them.

Source: the Composer documentation, "Versions and constraints", and PHP's version_compare, which Composer's semver
uses: dev < alpha < beta < RC < (stable) < patch. Branches (``dev-master``) have no place in the order.
"""

import re

from shared.matching.versions.scheme import Scheme

Key = tuple[tuple[int, ...], int, tuple[int, ...]]

_VERSION = re.compile(
    r"v?(\d{1,18}(?:[.]\d{1,18}){0,3})"
    r"(?:[._-]?(stable|beta|b|rc|alpha|a|patch|pl|p)((?:[.-]?\d{1,18})*))?([.-]?dev)?(?:\+\S+)?",
    re.IGNORECASE,
)
_STABILITY = {"a": 1, "alpha": 1, "b": 2, "beta": 2, "rc": 3, "": 4, "stable": 4, "p": 5, "pl": 5, "patch": 5}


def key(version: str) -> Key | None:
    """Numbers without trailing zeros, stability, number of the stability; None for branches and the like."""
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = [int(number) for number in found.group(1).split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    stability = (found.group(2) or "").lower()
    rank = 0 if found.group(4) and not stability else _STABILITY[stability]
    count = tuple(int(number) for number in re.findall(r"\d+", found.group(3) or ""))
    return tuple(numbers), rank, count


SCHEME = Scheme("composer", ("composer",), key)
