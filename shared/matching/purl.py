"""From a package URL to the CPE names under which NVD may know the package."""

from collections.abc import Iterator

import msgspec
from packageurl import PackageURL

from shared.matching import cpe
from shared.matching.certainty import Certainty

TARGET_SOFTWARE = {
    "npm": frozenset({"node.js"}),
    "pypi": frozenset({"python"}),
    "gem": frozenset({"ruby", "ruby_on_rails", "rails"}),
    "cargo": frozenset({"rust"}),
    "golang": frozenset({"go", "golang"}),
}
"""What NVD writes in `target_sw` for packages of an ecosystem."""


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A CPE name that a package may have, and how far to trust it."""

    name: cpe.Name
    target_sw: frozenset[str]
    ceiling: Certainty
    open_ceiling: Certainty | None


_OTHERS: frozenset[tuple[str, str]] = frozenset()


def target_software(purl_type: str) -> frozenset[str]:
    """The values of `target_sw` that agree with packages of a type."""
    return TARGET_SOFTWARE.get(purl_type, frozenset())


def is_another_program(purl_type: str, name: cpe.Name) -> bool:
    """Whether a name that a tool guessed for a package is that of an unrelated program."""
    return (purl_type, name.vendor) in _OTHERS


def candidates(package: PackageURL) -> Iterator[Candidate]:
    """The CPE names by which NVD may know a package."""
    yield from () and (package,)
