"""Who a component may be in the CPE dictionary: from its CPE names, its package URL or its bare name."""

import enum
from collections.abc import Iterable, Iterator
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


RULES = 2
"""The number of the rules below: it grows whenever some component gets another product key than before, since assets are
filed under the keys of their components."""


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

    equal: frozenset[str]
    """The normal forms of the version: version keys of the criteria that name exactly it."""

    bases: frozenset[str]
    """Those, and the normal forms of the versions that it is an update of."""

    ceiling: Certainty
    """The most that a match through this identity can be."""

    open_ceiling: Certainty | None
    """Instead of `ceiling` for a criterion that names no `target_sw`; None: such a criterion is not met."""

    target_sw: frozenset[str] = frozenset()
    """The values of `target_sw` that mean its ecosystem; a criterion that names another is not met.

    Empty: the name's own `target_sw` counts.
    """

    package: str = ""
    """Instead of `name`: the package URL without version, under which the CNA's data may name it."""

    because: str = ""
    """Why no more may be concluded: as the component says (`Component.because`), or the rules for package URLs."""

    @property
    def label(self) -> str:
        """The CPE name, or the package."""
        return self.package or str(self.name)

    @cached_property
    def product_key(self) -> str:
        """The product key of the name."""
        return self.package or product_key(self.name)

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
    """Every identity of a component, the strongest first, each once."""
    subject = _Subject(component)
    found = [*subject.given(), *subject.derived()] or list(subject.named())
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


def product_keys(components: Iterable[Component]) -> set[str]:
    """The products under which an asset's components are looked up: only what names one of them can concern the asset."""
    return {product for product, _ in lookup_keys(components)} - {EVERY_PRODUCT}


def is_system_package(component: Component) -> bool:
    """Whether the package URL says that a distribution packaged it."""
    return (component.purl or "").removeprefix("pkg:").partition("/")[0] in purl.SYSTEM_TYPES


def limited(identity: Identity, at_most: Certainty) -> Identity:
    """The same identity, from which no more may be concluded."""
    return msgspec.structs.replace(
        identity,
        ceiling=weakest(identity.ceiling, at_most),
        open_ceiling=identity.open_ceiling and weakest(identity.open_ceiling, at_most),
    )


class _Subject:
    """A component with what its package URL says, while its identities are being found."""

    def __init__(self, component: Component) -> None:
        self.component = component
        self.package = _parse(component.purl)
        self.kind = self.package.type if self.package else ""
        self.candidates = tuple(purl.candidates(self.package)) if self.package else ()
        self._versions: dict[str, tuple[str, Scheme, frozenset[str], frozenset[str]]] = {}

    def given(self) -> Iterator[Identity]:
        """The identities of the CPE names that the inventory gives; a name of no single product is passed over.

        One name is what somebody asserts. Several names of different products beside a package URL are the guesses
        of a tool, of which at most one is the dictionary's: `likely` at most. Where the package URL has an ecosystem
        and does not suggest the same name, the two do not agree: one name is `likely`, and one of several guesses is
        `possible` for criteria that name no ecosystem; so is a name beside a package that is listed under another.
        """
        names = list(self._names())
        guessed = self.package is not None and len({name.product_key for name, _ in names}) > 1
        suggested = self._suggested()
        unlike = guessed or (self.package is not None and purl.is_known(self.package))
        for name, text in names:
            agrees = suggested is None or name.product_key in suggested
            sure = LIKELY if guessed or not agrees else CONFIRMED
            other = purl.is_another_program(self.kind, name)
            yield self._identity(
                name,
                Origin.CPE,
                text,
                _version_of(name) or self.component.version or self._package_version(),
                (sure, None if other else POSSIBLE if unlike and not agrees else sure),
                purl.target_software(self.kind) if name.target_sw == cpe.ANY else frozenset(),
            )

    def derived(self) -> Iterator[Identity]:
        """The identities that the package URL suggests, and the package itself, which only the CNA's data names."""
        if self.package is None:
            return
        version = self._package_version() or self.component.version
        source = self.component.purl or ""
        for each in self.candidates:
            limits = (each.ceiling, each.open_ceiling)
            found = self._identity(each.name, Origin.PURL, source, version, limits, each.target_sw)
            told = "; ".join(filter(None, (found.because, each.because)))
            yield msgspec.structs.replace(found, because=told) if each.because else found
        itself = self._identity(cpe.Name("a"), Origin.PURL, source, version, (POSSIBLE, POSSIBLE))
        package = PackageURL(self.package.type, self.package.namespace, self.package.name)
        yield msgspec.structs.replace(itself, package=package.to_string())

    def named(self) -> Iterator[Identity]:
        """What its bare name suggests.

        A name that ends in the version (``bash-5.0-6ubuntu1.1``) is how tools list a distribution's packages.
        """
        text, version = self.component.name, self.component.version
        if version and text.endswith(f"-{version}"):
            text, version = text.removesuffix(f"-{version}"), versions.UPSTREAM["deb"](version)
        for name in purl.named(text):
            yield self._identity(name, Origin.NAME, self.component.name, version, (POSSIBLE, POSSIBLE))

    def _names(self) -> Iterator[tuple[cpe.Name, str]]:
        for text in self.component.cpes:
            try:
                name = cpe.parse(text)
            except cpe.CpeError:
                continue
            if product_key(name) != EVERY_PRODUCT:
                yield name, text

    def _suggested(self) -> frozenset[str] | None:
        """The products that the package URL itself suggests; None for types that cannot say."""
        if not purl.has_ecosystem(self.kind):
            return None
        return frozenset(each.name.product_key for each in self.candidates if each.open_ceiling is LIKELY)

    def _package_version(self) -> str:
        return (self.package.version or "") if self.package else ""

    def _identity(
        self,
        name: cpe.Name,
        origin: Origin,
        source: str,
        version: str,
        limits: tuple[Certainty, Certainty | None],
        target_sw: frozenset[str] = frozenset(),
    ) -> Identity:
        at_most = self.component.at_most
        if self.kind in purl.SYSTEM_TYPES:
            at_most = weakest(at_most, POSSIBLE)
        ceiling, open_ceiling = limits
        return Identity(
            name,
            origin,
            source,
            *self._version(version),
            weakest(at_most, ceiling),
            open_ceiling and weakest(at_most, open_ceiling),
            target_sw,
            because=self.component.because,
        )

    def _version(self, text: str) -> tuple[str, Scheme, frozenset[str], frozenset[str]]:
        """The version to compare, its scheme, its normal forms and those of its bases; once for each text."""
        if text not in self._versions:
            version, scheme = text, versions.for_purl_type(self.kind)
            texts = [text, *scheme.spellings(text)] if text else []
            if self.kind in versions.UPSTREAM and text:
                # NVD speaks of the author's versions: compare what was packaged, in the vendors' order.
                version, scheme = versions.UPSTREAM[self.kind](text), versions.VENDOR
                texts.append(version)
            # What cannot be printed no criterion names, and not every database takes it.
            equal = frozenset(filter(str.isprintable, map(vendor.normal, texts)))
            self._versions[text] = version, scheme, equal, equal.union(*map(vendor.bases, texts))
        return self._versions[text]


def _parse(text: str | None) -> PackageURL | None:
    if not text:
        return None
    try:
        return PackageURL.from_string(text)
    except ValueError:
        return None


def _version_of(name: cpe.Name) -> str:
    if name.version in {cpe.ANY, cpe.NA} or cpe.has_wildcards(name.version):
        return ""
    update = "" if name.update in {cpe.ANY, cpe.NA} else cpe.unquote(name.update)
    return vendor.join(cpe.unquote(name.version), update)
