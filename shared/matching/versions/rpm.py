"""RPM packages' versions: rpmvercmp, by the library `univers`.

Source: rpm, rpmvercmp.c
"""

import re
from collections.abc import Callable
from functools import total_ordering
from typing import Any

from univers.rpm import RpmVersion, compare_rpm_versions

from shared.matching.versions.scheme import Scheme

_read: Callable[[str], Any] = RpmVersion.from_string
_VERSION = re.compile(r"(?:\d{1,9}:)?[A-Za-z0-9._+~^]+(?:-[A-Za-z0-9._+~^-]+)?")


@total_ordering
class Key:
    """A version as rpm orders it; `RpmVersion` alone inherits the tuple's < for some comparisons."""

    __slots__ = ("_version",)

    def __init__(self, version: RpmVersion) -> None:
        self._version = version

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and compare_rpm_versions(self._version, other._version) == 0

    def __lt__(self, other: "Key") -> bool:
        return bool(compare_rpm_versions(self._version, other._version) < 0)

    __hash__ = None  # type: ignore[assignment]  # equal versions are written differently


def key(version: str) -> Key | None:
    """The version as rpm orders it, or None when it is not one."""
    text = version.strip()
    return Key(_read(text)) if _VERSION.fullmatch(text) else None


def upstream(version: str) -> str:
    """What the distribution packaged, as its author calls it: without epoch and release."""
    plain = version.partition(":")[2] or version
    return plain.partition("-")[0].partition("^")[0]


SCHEME = Scheme("rpm", ("rpm",), key, lambda version: (upstream(version),))
