"""What the two forms of SPDX share: versions, external references, purposes, and the counting rule.

Every package counts, the described ones too: in SPDX a described package is a package like any other,
and a document may describe many (a release of several images) or none. When it describes exactly one,
that one gives the document its name and version; otherwise the document's own name stands.
"""

from typing import Final

from shared.sbom.builder import Builder
from shared.sbom.model import Component, Limits, SbomError

VERSIONS: Final = ("SPDX-2.2", "SPDX-2.3")
_NOTHING: Final = frozenset({"NOASSERTION", "NONE", ""})
_CPE_TYPES: Final = frozenset({"cpe22type", "cpe23type"})


def check_version(where: str, version: str | None) -> str:
    """Give the bare version number of a document that can be read."""
    if version not in VERSIONS:
        found = (
            f"the document is of version {version}" if version else "the document does not say its version"
        )
        raise SbomError(where, f"{found}; {' and '.join(VERSIONS)} are read")
    return version.removeprefix("SPDX-")


class Identifiers:
    """Gathers purls and CPEs from external references.

    The category (SECURITY, PACKAGE-MANAGER or, in 2.2, PACKAGE_MANAGER) is not looked at: the type says
    all, and tools differ in how they spell the category.
    """

    def __init__(self, limits: Limits) -> None:
        self.purl: str | None = None
        self.cpes: list[str] = []
        self._most = limits.cpes + 1
        self._more_purls = 0

    def take(self, kind: str, locator: str) -> None:
        """Take one reference, whatever it refers to."""
        kind = kind.rpartition("/")[2].lower()  # 2.2 allows the type as an address that ends so.
        if kind == "purl":
            if self.purl is None:
                self.purl = locator
            elif self.purl != locator:
                self._more_purls += 1
        elif kind in _CPE_TYPES and len(self.cpes) < self._most:
            self.cpes.append(locator)

    def report(self, where: str, builder: Builder) -> None:
        """List what a component has no room for."""
        if self._more_purls:
            builder.skip(where, f"it has {self._more_purls + 1} purls; only the first is kept")


def component(
    *,
    name: str | None,
    version: str | None,
    identifiers: Identifiers,
    purpose: str | None,
    identifier: str | None,
    licences: tuple[str | None, ...],
) -> Component:
    """Give a package as a component."""
    stated = next((licence for licence in licences if asserted(licence)), None)
    return Component(
        name=name or "",
        version=asserted(version),
        purl=identifiers.purl,
        cpes=tuple(identifiers.cpes),
        type=purpose.strip().lower().replace("_", "-") if purpose else None,
        bom_ref=identifier,
        licences=(stated,) if stated else (),
    )


def asserted(value: str | None) -> str | None:
    """Give a value, or None for the ways in which SPDX says that there is none."""
    return None if value is None or value.strip() in _NOTHING else value


def subject(
    described: set[str], components: list[Component], fallback: str | None
) -> tuple[str | None, str | None]:
    """Give the name and version of what the document describes."""
    if len(described) == 1:
        for candidate in components:
            if candidate.bom_ref in described:
                return candidate.name, candidate.version
    return fallback, None
