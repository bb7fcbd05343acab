"""Maven's versions: ComparableVersion, by the library `univers` (from pymaven).

Source: the POM reference, "Version Order Specification".
"""

import re
from collections.abc import Callable
from typing import Any

from univers import maven

from shared.matching.versions.scheme import Scheme

_read: Callable[[str], Any] = maven.Version
# The library lacks this one of Maven's three words for a release.
_RELEASE = re.compile(r"[.-]release\Z", re.IGNORECASE)
_VERSION = re.compile(r"[0-9A-Za-z._+\-]{1,256}")


def key(version: str) -> Any:
    """The version as Maven orders it; None for a text without digits or with characters it never sees."""
    text = version.strip()
    if not _VERSION.fullmatch(text) or not any(char.isdigit() for char in text):
        return None
    return _read(_RELEASE.sub("", text))


SCHEME = Scheme("maven", ("maven", "gradle", "sbt", "clojars"), key)
