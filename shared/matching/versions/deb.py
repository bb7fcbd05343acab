"""Debian packages' versions, by the library `univers`.

Source: Debian Policy Manual, 5.6.12 "Version"
"""

import re
from collections.abc import Callable
from typing import Any

from univers.debian import Version

from shared.matching.versions.scheme import Scheme

_read: Callable[[str], Any] = Version.from_string
_is_valid: Callable[[str], Any] = Version.is_valid
_REPACKED = re.compile(r"[+~.](?:dfsg|ds|repack|debian|ubuntu|deb\d)[\w.+~]*\Z")
_REALLY = re.compile(r"\A.*\+really")


def key(version: str) -> Any:
    """The version as dpkg orders it, or None when it is not one."""
    text = version.strip()
    return _read(text) if text and _is_valid(text) else None


def upstream(version: str) -> str:
    """What the distribution packaged, as its author calls it: without epoch, revision, repacking marks."""
    plain = version.partition(":")[2] or version
    plain = plain.rpartition("-")[0] or plain
    return _REPACKED.sub("", _REALLY.sub("", plain))


SCHEME = Scheme("deb", ("deb",), key, lambda version: (upstream(version),))
