"""Version schemes, one module each, and the list that names them all.

To add one: a module with a `SCHEME`, and its name in SCHEMES. `vendor` is the order of everything else, above
all of the bounds in NVD's criteria; see its docstring for the rules.
"""

from shared.matching.versions import (
    apk,
    composer,
    deb,
    gem,
    golang,
    maven,
    nuget,
    pep440,
    rpm,
    semver,
    vendor,
)
from shared.matching.versions.scheme import Scheme, compare_keys

VENDOR = Scheme("vendor", (), vendor.key)
"""Our own order for free-form versions."""

SCHEMES = (
    pep440.SCHEME,
    semver.SCHEME,
    maven.SCHEME,
    gem.SCHEME,
    deb.SCHEME,
    rpm.SCHEME,
    apk.SCHEME,
    nuget.SCHEME,
    golang.SCHEME,
    composer.SCHEME,
    VENDOR,
)

UPSTREAM = {
    "deb": deb.upstream,
    "rpm": rpm.upstream,
    "apk": apk.upstream,
    "alpine": apk.upstream,
    "alpm": rpm.upstream,
}
"""For operating-system packages: from the package's version to the one that its author gave it."""

_BY_TYPE = {purl_type: scheme for scheme in SCHEMES for purl_type in scheme.purl_types}


def for_purl_type(purl_type: str) -> Scheme:
    """The order of a package URL type's versions; the vendors' order when it has none of its own."""
    return _BY_TYPE.get(purl_type, VENDOR)


def compare(scheme: Scheme, left: str, right: str) -> tuple[int | None, Scheme]:
    """Compare in a scheme, or in the vendors' order when either is not a version of it; and which one it was.

    The answer is -1, 0, 1, or None when neither can say: undecided.
    """
    order = scheme.compare(left, right)
    if order is not None or scheme is VENDOR:
        return order, scheme
    return VENDOR.compare(left, right), VENDOR


__all__ = ["SCHEMES", "UPSTREAM", "VENDOR", "Scheme", "compare", "compare_keys", "for_purl_type"]
