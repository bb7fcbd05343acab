"""Semantic versions, as npm, Cargo and others use them: Semantic Versioning 2.0.0, section 11.

Lenient where NVD's bounds and package registries are: a leading ``v``, and fewer or more than three numbers
(missing numbers are zeros). Build metadata does not count.
"""

import re

from shared.matching.versions.scheme import Scheme

Identifier = tuple[int, int, str]
Key = tuple[tuple[int, ...], tuple[Identifier, ...]]

_VERSION = re.compile(r"[vV=]?\s*(\d{1,18}(?:\.\d{1,18}){0,5})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_RELEASED: tuple[Identifier, ...] = ((2, 0, ""),)


def key(version: str) -> Key | None:
    """The numbers without trailing zeros, then the pre-release identifiers; None when it is no version."""
    found = _VERSION.fullmatch(version.strip())
    if found is None:
        return None
    numbers = [int(number) for number in found.group(1).split(".")]
    while numbers and numbers[-1] == 0:
        numbers.pop()
    label = found.group(2)
    return tuple(numbers), _RELEASED if label is None else tuple(map(_identifier, label.split(".")))


def _identifier(text: str) -> Identifier:
    """Numeric identifiers compare as numbers, before alphanumeric ones; fewer before more (section 11.4)."""
    return (0, int(text), "") if text.isdecimal() and len(text) < 4000 else (1, 0, text)


def spellings(version: str) -> tuple[str, ...]:
    """Without the build metadata, which is no part of the version's rank (section 10)."""
    plain, plus, _ = version.partition("+")
    return (plain,) if plus else ()


_TYPES = ("npm", "cargo", "hex", "pub", "swift", "cocoapods", "github", "bitbucket")
SCHEME = Scheme("semver", _TYPES, key, spellings)
