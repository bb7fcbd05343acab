"""Maven's versions: ComparableVersion, by the library `univers` (from pymaven).

Source: https://maven.apache.org/pom.html#version-order-specification
"""

import re
from collections.abc import Callable
from typing import Any

from univers import maven

from shared.matching.versions.scheme import Scheme

_read: Callable[[str], Any] = maven.Version
_VERSION = re.compile(r"[0-9A-Za-z._+\-]{1,256}")


def key(version: str) -> Any:
    """The version as Maven orders it; None for a text without digits or with characters it never sees."""
    text = version.strip()
    if not _VERSION.fullmatch(text) or not any(char.isdigit() for char in text):
        return None
    return _read(text)


SCHEME = Scheme("maven", ("maven", "gradle", "sbt", "clojars"), key)
