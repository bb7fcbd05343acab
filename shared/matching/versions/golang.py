"""Go modules' versions: semantic versions with a leading ``v``; pseudo-versions, ``+incompatible``.

A pseudo-version (``v0.0.0-20190308221718-c2843e01d9a2``) is a pre-release and so already sorts by its time.
Source: Go Modules Reference, "Versions".
"""

import re

from shared.matching.versions import semver
from shared.matching.versions.scheme import Scheme

_DATE = re.compile(r"(\d{4})-(\d\d)-(\d\d)")


def key(version: str) -> semver.Key | None:
    """The semantic version's key; releases of Go itself are written ``go1.20.3``.

    A date, which NVD gives for modules without releases, sorts as the last pseudo-version of that day.
    """
    return semver.key(_DATE.sub(r"v0.0.0-\1\2\g<3>235959-z", version.removeprefix("go")))


def spellings(version: str) -> tuple[str, ...]:
    """Without ``+incompatible`` and without the ``go`` of the standard library's versions."""
    plain = version.partition("+")[0].removeprefix("go")
    return (plain,) if plain != version else ()


SCHEME = Scheme("go", ("golang",), key, spellings)
