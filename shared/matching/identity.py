"""Who a component may be in the CPE dictionary: from its CPE names, its package URL or its bare name."""

import enum
from collections.abc import Iterable
from functools import cached_property

import msgspec
from packageurl import PackageURL

from shared.matching import cpe, purl, versions
from shared.matching.certainty import Certainty, weakest
from shared.matching.component import Component
from shared.matching.criterion import (
    EVERY_PRODUCT,
    EVERY_VERSION,
    MUST_COMPARE,
    NO_VERSION,
    IndexKey,
    product_key,
)
from shared.matching.versions import Scheme, vendor

CONFIRMED, LIKELY, POSSIBLE = Certainty.CONFIRMED, Certainty.LIKELY, Certainty.POSSIBLE


class Origin(enum.StrEnum):
    """Where an identity comes from, the strongest first."""

    CPE = "cpe"
    """A CPE name that the inventory gives."""

    PURL = "purl"
    """Derived from the package URL by the rules of `shared.matching.purl`."""

    NAME = "name"
    """Nothing but the component's name."""


class Identity(msgspec.Struct, frozen=True, dict=True):
    """One name under which a component is looked up, and what may be concluded when it is found."""

    name: cpe.Name
    """The CPE name; its version and update are not used, `version` is."""

    origin: Origin
    source: str
    """The text it was read or derived from."""

    version: str
    """The version that is compared; empty when unknown."""

    scheme: Scheme
    """The order that the version belongs to."""

    ceiling: Certainty
    """The most that a match through this identity can be."""

    target_sw: frozenset[str] = frozenset()
    """The values of `target_sw` that mean its ecosystem; a criterion that names another is not met.

    Empty: the name's own `target_sw` counts.
    """

    open_ceiling: Certainty | None = None
    """Instead of `ceiling` for a criterion that names no `target_sw`; None: such a criterion is not met."""

    spellings: tuple[str, ...] = ()
    """Other texts of the same version."""

    package: str = ""
    """Instead of `name`: the package URL without version, under which the CNA's data may name it."""

    @property
    def label(self) -> str:
        """The CPE name, or the package."""
        return self.package or str(self.name)

    @cached_property
    def product_key(self) -> str:
        """The product key of the name."""
        return self.package or product_key(self.name)

    @cached_property
    def equal(self) -> frozenset[str]:
        """The normal forms of the version: version keys of the criteria that name exactly it."""
        texts = (self.version, *self.spellings)
        return frozenset(vendor.normal(text) for text in texts if text)

    @cached_property
    def bases(self) -> frozenset[str]:
        """The normal forms of the versions that it is an update of, and its own."""
        texts = (self.version, *self.spellings)
        return self.equal.union(*(vendor.bases(text) for text in texts if text))

    def lookup_keys(self) -> Iterable[IndexKey]:
        """The index keys of all criteria that may be met."""
        product = self.product_key
        yield product, MUST_COMPARE
        if self.package:
            return
        yield product, NO_VERSION
        for version in self.bases:
            yield product, version
        if self.name.part != "a" and not self.version:
            # A platform of unknown version: an operand that names a version is unknown, not false.
            yield product, EVERY_VERSION


def identify(component: Component) -> tuple[Identity, ...]:
    """Every identity of a component, the strongest first, each product once."""
    package = _parse(component.purl)
    found = [*_given(component, package), *_derived(component, package)]
    if package is not None:
        found.append(_packaged(component, package))
    elif not found and component.name:
        found = _named(component)
    distinct: dict[tuple[str, str, frozenset[str]], Identity] = {}
    for identity in found:
        distinct.setdefault((identity.label, identity.version, identity.target_sw), identity)
    return tuple(distinct.values())


def lookup_keys(components: Iterable[Component]) -> set[IndexKey]:
    """Every (product key, version key) that the mirror has to fetch criteria by, for an asset's components.

    Criteria under EVERY_PRODUCT are asked for as well. A version key EVERY_VERSION asks for all of the
    product's.
    """
    keys = {(EVERY_PRODUCT, MUST_COMPARE)}
    for component in components:
        for identity in identify(component):
            keys.update(identity.lookup_keys())
    return keys


def _parse(text: str | None) -> PackageURL | None:
    if not text:
        return None
    try:
        return PackageURL.from_string(text)
    except ValueError:
        return None


def _given(component: Component, package: PackageURL | None) -> list[Identity]:
    """The identities of the CPE names that the inventory gives; a name of no single product is passed over.

    One name is what somebody asserts. Several names of different products beside a package URL are the guesses of
    a tool, of which at most one is the dictionary's: `likely` at most. Where the package URL has an ecosystem and
    does not suggest the same name, the two do not agree: one name is `likely`, and one of several guesses is
    `possible` for criteria that name no ecosystem.
    """
    names = []
    for text in component.cpes:
        try:
            name = cpe.parse(text)
        except cpe.CpeError:
            continue
        if product_key(name) != EVERY_PRODUCT:
            names.append((name, text))
    guessed = package is not None and len({name.product_key for name, _ in names}) > 1
    suggested = _suggested(package) if names and package else None
    found = []
    for name, text in names:
        agrees = suggested is None or name.product_key in suggested
        sure = LIKELY if guessed or not agrees else CONFIRMED
        found.append(
            _from_cpe(name, text, component, package, (sure, POSSIBLE if guessed and not agrees else sure))
        )
    return found


def _suggested(package: PackageURL) -> frozenset[str] | None:
    """The products that the package URL itself suggests; None for types that cannot say."""
    if not purl.has_ecosystem(package.type):
        return None
    found = purl.candidates(package)
    return frozenset(each.name.product_key for each in found if each.open_ceiling is LIKELY)


def _from_cpe(
    name: cpe.Name,
    text: str,
    component: Component,
    package: PackageURL | None,
    limits: tuple[Certainty, Certainty],
) -> Identity:
    """An identity of a given name; the limits are `ceiling` and `open_ceiling`."""
    version = _version_of(name) or component.version or (package.version if package else "") or ""
    purl_type = package.type if package else ""
    at_most = weakest(component.at_most, POSSIBLE) if purl_type in purl.SYSTEM_TYPES else component.at_most
    ceiling, open_ceiling = (weakest(at_most, limit) for limit in limits)
    target_sw = purl.target_software(purl_type) if name.target_sw == cpe.ANY else frozenset()
    other = purl.is_another_program(purl_type, name)
    return _identity(
        name, Origin.CPE, text, version, purl_type, ceiling, target_sw, None if other else open_ceiling
    )


def _version_of(name: cpe.Name) -> str:
    if name.version in {cpe.ANY, cpe.NA} or cpe.has_wildcards(name.version):
        return ""
    update = "" if name.update in {cpe.ANY, cpe.NA} else cpe.unquote(name.update)
    return vendor.join(cpe.unquote(name.version), update)


def _derived(component: Component, package: PackageURL | None) -> list[Identity]:
    if package is None:
        return []
    version = package.version or component.version or ""
    return [
        _identity(
            candidate.name,
            Origin.PURL,
            component.purl or "",
            version,
            package.type,
            weakest(component.at_most, candidate.ceiling),
            candidate.target_sw,
            candidate.open_ceiling and weakest(component.at_most, candidate.open_ceiling),
        )
        for candidate in purl.candidates(package)
    ]


def _packaged(component: Component, package: PackageURL) -> Identity:
    """The package itself, which only the CNA's data names."""
    name = PackageURL(package.type, package.namespace, package.name).to_string()
    version = package.version or component.version or ""
    found = _identity(
        cpe.Name("a"),
        Origin.PURL,
        component.purl or "",
        version,
        package.type,
        POSSIBLE,
        frozenset(),
        POSSIBLE,
    )
    return msgspec.structs.replace(found, package=name)


def _named(component: Component) -> list[Identity]:
    product = cpe.quote(component.name)
    return [
        _identity(
            cpe.Name("a", owner, product),
            Origin.NAME,
            component.name,
            component.version,
            "",
            POSSIBLE,
            frozenset(),
            POSSIBLE,
        )
        for owner in (product, product + "_project")
        if product and cpe.is_value(product)
    ]


def _identity(  # noqa: PLR0913, PLR0917 - the one place where identities are made
    name: cpe.Name,
    origin: Origin,
    source: str,
    version: str,
    purl_type: str,
    ceiling: Certainty,
    target_sw: frozenset[str],
    open_ceiling: Certainty | None,
) -> Identity:
    scheme = versions.for_purl_type(purl_type)
    spellings = scheme.spellings(version) if version else ()
    if purl_type in versions.UPSTREAM and version:
        # NVD speaks of the author's versions: compare what was packaged, in the vendors' order.
        spellings, version, scheme = (version,), versions.UPSTREAM[purl_type](version), versions.VENDOR
    return Identity(name, origin, source, version, scheme, ceiling, target_sw, open_ceiling, spellings)
