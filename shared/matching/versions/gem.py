"""RubyGems' versions: Gem::Version, by the library `univers`.

Source: Gem::Version#<=>
"""

import re
from collections.abc import Callable
from typing import Any

from univers.gem import GemVersion, InvalidVersionError

from shared.matching.versions.scheme import Scheme

_read: Callable[[str], Any] = GemVersion
# A gem built for a platform carries it behind the version: 1.15.4-x86_64-linux.
_PLATFORM = re.compile(r"-(?:x86|x64|i[3-6]86|arm|aarch64|java|mswin|mingw|universal|ruby)[A-Za-z0-9_.-]*\Z")


def key(version: str) -> Any:
    """The version as RubyGems orders it, its platform taken off; None when it is not one."""
    try:
        return _read(_PLATFORM.sub("", version.strip()))
    except InvalidVersionError:
        return None


def spellings(version: str) -> tuple[str, ...]:
    """Without the platform."""
    plain = _PLATFORM.sub("", version)
    return (plain,) if plain != version else ()


SCHEME = Scheme("gem", ("gem",), key, spellings)
