"""Alpine packages' versions, whose order is Gentoo's, by the library `univers`.

Source: apk-tools, version.c
"""

import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any

from univers import gentoo

from shared.matching.versions.scheme import Scheme

_order: Callable[[str, str], Any] = gentoo.vercmp
_is_valid: Callable[[str], Any] = gentoo.is_valid
_REVISION = re.compile(r"-r\d+\Z")


@total_ordering
class Key:
    """A version as apk orders it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and _order(self._text, other._text) == 0

    def __lt__(self, other: "Key") -> bool:
        return bool(_order(self._text, other._text) < 0)

    __hash__ = None  # type: ignore[assignment]  # equal versions are written differently


def key(version: str) -> Key | None:
    """The version as apk orders it, or None when it is not one."""
    text = version.strip()
    return Key(text) if text and _is_valid(text) else None


def upstream(version: str) -> str:
    """What the distribution packaged, as its author calls it: without the revision."""
    return _REVISION.sub("", version)


SCHEME = Scheme("apk", ("apk", "alpine", "alpm", "ebuild"), key, lambda version: (upstream(version),))
