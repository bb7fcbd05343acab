"""NuGet's versions: semantic versions with an optional fourth number, compared without regard to case.

Source: the NuGet documentation, "Package versioning".
"""

from shared.matching.versions import semver
from shared.matching.versions.scheme import Scheme


def key(version: str) -> semver.Key | None:
    """The semantic version's key of the folded text."""
    return semver.key(version.lower())


SCHEME = Scheme("nuget", ("nuget",), key, semver.spellings)
