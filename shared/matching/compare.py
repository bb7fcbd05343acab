"""Comparing criteria with a component's identities, one criterion at a time.

A criterion is met by an identity when every attribute is. Part, vendor and product: equal, or a wildcard's
superset. Version: exactly the version it names (any update of it when `update` is ANY), or within the range,
in the order of the component's ecosystem or else the vendors'. NA is met only by a component without a
version. The other attributes after NIST IR 7696: a superset or equal is met, disjoint is not. Where the
component says nothing (ANY) and the criterion does, the attribute is *not stated*: met on condition.

Deviations from the letter of IR 7696, each because of how NVD and inventories write names:

* the component's `update` ANY means none: inventories write ``1.0:*`` for the release;
* in a range, a criterion's `update` belongs to the upper bound: up to ``1.9.17:p2`` (so converted from the
  old feeds).
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from shared.matching import cpe, versions
from shared.matching.certainty import Certainty, weakest
from shared.matching.component import Component
from shared.matching.criterion import EVERY_PRODUCT, Criterion, product_key, version_key
from shared.matching.identity import Identity, identify, is_system_package, limited
from shared.matching.reason import UNDECIDED, Reason
from shared.matching.versions import Scheme, compare_keys, vendor


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A criterion that is met: by which component, through which identity, and what it takes for granted."""

    component: int
    identity: Identity
    criterion: Criterion
    certainty: Certainty
    """How sure a match through it is in a configuration that is true."""

    not_stated: tuple[str, ...] = ()
    """The attributes that the criterion names and the component does not."""


class Hits(msgspec.Struct):
    """What comparing criteria with an inventory came to; criteria that are in neither are not met."""

    met: dict[int, list[Hit]]
    """By criterion id."""

    undecided: dict[int, list[tuple[int, Reason]]]
    """By criterion id: components that share the product and could not be compared."""

    unnamed: set[int]
    """Criteria that name a product without version (NA), while the inventory has it with one."""


class Inventory:
    """An asset's components with their identities, indexed by product."""

    def __init__(self, components: Sequence[Component]) -> None:
        self.components = components
        self.identities: list[tuple[Identity, ...]] = [identify(component) for component in components]
        self._limit_to_packages()
        self.by_product: dict[str, list[tuple[int, Identity]]] = {}
        self.parts: set[str] = set()
        for index, identities in enumerate(self.identities):
            for identity in identities:
                self.by_product.setdefault(identity.product_key, []).append((index, identity))
                self.parts.add(identity.name.part)

    def _limit_to_packages(self) -> None:
        """Limit what has a CPE name only where a distribution's package has the same product and version.

        It is that package's binary, found a second time, and fixed with it.
        """
        packaged = {
            (identity.product_key, version)
            for component, identities in zip(self.components, self.identities, strict=True)
            if is_system_package(component)
            for identity in identities
            for version in identity.equal
        }
        for index, component in enumerate(self.components if packaged else ()):
            if component.purl is None:
                self.identities[index] = tuple(
                    limited(identity, Certainty.POSSIBLE)
                    if any((identity.product_key, version) in packaged for version in identity.equal)
                    else identity
                    for identity in self.identities[index]
                )

    def lookup_keys(self) -> set[tuple[str, str]]:
        """What `shared.matching.identity.lookup_keys` answers, without identifying again."""
        keys = {(EVERY_PRODUCT, "")}
        for identities in self.identities:
            for identity in identities:
                keys.update(identity.lookup_keys())
        return keys

    def sharing(self, product: str) -> Iterable[tuple[int, Identity]]:
        """The identities that a criterion with this product key has to be compared with."""
        if product == EVERY_PRODUCT:
            return [each for identities in self.by_product.values() for each in identities]
        return self.by_product.get(product, ())


def compare_criteria(inventory: Inventory, criteria: Mapping[int, Criterion]) -> Hits:
    """Compare each criterion once with every identity that shares its product."""
    hits = Hits({}, {}, set())
    shared = Shared()
    for number, criterion in criteria.items():
        prepared = PreparedCriterion(criterion, shared)
        for index, identity in inventory.sharing(prepared.product_key):
            outcome = prepared.compare(identity)
            if not isinstance(outcome, Reason):
                hit = Hit(index, identity, criterion, prepared.certainty(identity, outcome), outcome)
                hits.met.setdefault(number, []).append(hit)
            elif outcome in UNDECIDED:
                hits.undecided.setdefault(number, []).append((index, outcome))
            elif outcome is Reason.VERSION_NOT_NAMED:
                hits.unnamed.add(number)
    return hits


class Bound(NamedTuple):
    """One end of a range: the version compared with `text` must come out as one of `allowed`."""

    symbol: str
    text: str
    allowed: frozenset[int]


def bounds(criterion: Criterion, name: cpe.Name) -> list[Bound]:
    """The criterion's range, the name's update joined to the upper bound."""
    found = []
    if criterion.version_start_including:
        found.append(Bound(">=", cpe.unquote(criterion.version_start_including), _AFTER_OR_AT))
    if criterion.version_start_excluding:
        found.append(Bound(">", cpe.unquote(criterion.version_start_excluding), _AFTER))
    if criterion.version_end_including:
        found.append(Bound("<=", _upper(criterion.version_end_including, name), _BEFORE_OR_AT))
    if criterion.version_end_excluding:
        found.append(Bound("<", _upper(criterion.version_end_excluding, name), _BEFORE))
    return found


def _upper(bound: str, name: cpe.Name) -> str:
    joined = name.update not in _UNSTATED and name.version == cpe.ANY
    return vendor.join(cpe.unquote(bound), cpe.unquote(name.update) if joined else "")


def criterion_name(criterion: Criterion) -> cpe.Name:
    """The CPE name of a criterion, everything being ANY in that of a package; raises CpeError."""
    return cpe.Name("a") if criterion.is_package else cpe.parse(criterion.criteria)


class PreparedName:
    """What a criterion says apart from its range, made ready: many ranges of a product share one match string."""

    __slots__ = ("is_open", "name", "others", "product_key", "version_key")

    def __init__(self, criterion: Criterion) -> None:
        try:
            self.name: cpe.Name | None = criterion_name(criterion)
        except cpe.CpeError:
            self.name, self.product_key, self.is_open = None, EVERY_PRODUCT, True
            return
        self.product_key = criterion.criteria if criterion.is_package else product_key(self.name)
        self.version_key = version_key(self.name)
        self.is_open = self.name.target_sw in _UNSTATED
        """Whether it names no ecosystem."""
        self.others = [] if criterion.criteria.endswith(_NO_OTHERS) else _others(self.name)


class Keys(dict[str, Any]):
    """Sort keys of one scheme, by the text of the version; each is worked out when it is first asked for."""

    def __init__(self, scheme: Scheme) -> None:
        self._key = scheme.key

    def __missing__(self, version: str) -> Any:
        return self.setdefault(version, self._key(version))


class Shared:
    """What the criteria of one comparison have in common."""

    def __init__(self) -> None:
        self.names: dict[str, PreparedName] = {}
        """By match string."""
        self.keys: dict[str, Keys] = {}
        """By the scheme's name."""

    def name_of(self, criterion: Criterion) -> PreparedName:
        """The criterion's name, made ready once."""
        found = self.names.get(criterion.criteria)
        return found or self.names.setdefault(criterion.criteria, PreparedName(criterion))

    def keys_of(self, scheme: Scheme) -> Keys:
        """The scheme's sort keys."""
        found = self.keys.get(scheme.name)
        return self.keys.setdefault(scheme.name, Keys(scheme)) if found is None else found


class PreparedCriterion:
    """A criterion made ready to be compared with many identities."""

    __slots__ = ("_bounds", "_prepared", "_shared", "criterion", "name", "product_key")

    def __init__(self, criterion: Criterion, shared: Shared) -> None:
        self.criterion = criterion
        self._shared = shared
        self._prepared = shared.name_of(criterion)
        self.name = self._prepared.name
        self.product_key = self._prepared.product_key
        self._bounds = [] if self.name is None else bounds(criterion, self.name)

    def compare(self, identity: Identity) -> tuple[str, ...] | Reason:
        """The attributes that are not stated when the criterion is met, otherwise why it is not."""
        if self.name is None:
            return Reason.UNREADABLE
        if self.product_key == EVERY_PRODUCT and not self._same_product(self.name, identity.name):
            return Reason.NO_IDENTIFIER
        if identity.open_ceiling is None and self._prepared.is_open:
            return Reason.ECOSYSTEM_DIFFERS
        reason = self._compare_version(self.name, identity)
        if reason is not None and reason not in UNDECIDED:
            return reason
        not_stated = self._compare_others(identity) if self._prepared.others else ()
        if isinstance(not_stated, Reason):
            return not_stated
        return not_stated if reason is None else reason

    def certainty(self, identity: Identity, not_stated: tuple[str, ...]) -> Certainty:
        """How sure it is that the criterion, being met, speaks of the component."""
        sure = identity.open_ceiling if self._prepared.is_open and identity.open_ceiling else identity.ceiling
        return weakest(sure, Certainty.CONDITIONAL) if not_stated else sure

    @staticmethod
    def _same_product(name: cpe.Name, other: cpe.Name) -> bool:
        pairs = ((name.part, other.part), (name.vendor, other.vendor), (name.product, other.product))
        return all(cpe.compare(*pair) in _COVERS for pair in pairs)

    def _compare_others(self, identity: Identity) -> tuple[str, ...] | Reason:
        not_stated = []
        for attribute, value in self._prepared.others:
            if attribute == "target_sw" and identity.target_sw and value != cpe.NA:
                if value not in identity.target_sw:
                    return Reason.ECOSYSTEM_DIFFERS
                continue
            relation = cpe.compare(value, getattr(identity.name, attribute))
            if relation is cpe.Relation.DISJOINT:
                return Reason.ATTRIBUTE_DIFFERS
            if relation not in _COVERS and value != cpe.NA:
                not_stated.append(attribute)
        return tuple(not_stated)

    def _compare_version(self, name: cpe.Name, identity: Identity) -> Reason | None:
        """None when the version is met."""
        version = name.version
        if version == cpe.NA:
            return Reason.VERSION_NOT_NAMED if identity.version else None
        if version != cpe.ANY and not identity.version:
            return Reason.VERSION_UNKNOWN
        if version != cpe.ANY and not self._is_named(name, identity):
            return Reason.VERSION_OUTSIDE if self._has_a_place(identity) else Reason.VERSION_UNDECIDED
        if not self._bounds:
            return None
        return self._within(identity) if identity.version else Reason.VERSION_UNKNOWN

    def _is_named(self, name: cpe.Name, identity: Identity) -> bool:
        """Whether the version is the one that the name names, or covered by its wildcards."""
        key = self._prepared.version_key
        if self._bounds:
            return key in identity.bases
        if key:
            return key in (identity.bases if name.update == cpe.ANY else identity.equal)
        # Wildcards: compare attribute by attribute, with the component's own CPE version or its quoted text.
        target = cpe.quote(identity.version)
        if name.update in _UNSTATED:
            return cpe.compare(name.version, target) in _COVERS
        own = identity.name
        return (
            cpe.compare(name.version, own.version) in _COVERS
            and cpe.compare(name.update, own.update) in _COVERS
        )

    def _has_a_place(self, identity: Identity) -> bool:
        """Whether any order knows the identity's version; what is called ``latest`` may well be the one that is named."""
        schemes = (identity.scheme, versions.VENDOR)
        return any(self._shared.keys_of(each)[identity.version] is not None for each in schemes)

    def _within(self, identity: Identity) -> Reason | None:
        for bound in self._bounds:
            order = self._order(identity, bound.text)
            if order is None:
                return Reason.VERSION_UNDECIDED
            if order not in bound.allowed:
                return Reason.VERSION_OUTSIDE
        return None

    def _order(self, identity: Identity, bound: str) -> int | None:
        """The order of the identity's version and a bound: in its scheme, else the vendors'; or undecided."""
        keys = self._shared.keys_of(identity.scheme)
        order = compare_keys(keys[identity.version], keys[bound])
        if order is None and identity.scheme is not versions.VENDOR:
            keys = self._shared.keys_of(versions.VENDOR)
            order = compare_keys(keys[identity.version], keys[bound])
        return order


_AFTER_OR_AT, _AFTER = frozenset({0, 1}), frozenset({1})
_BEFORE_OR_AT, _BEFORE = frozenset({-1, 0}), frozenset({-1})
_UNSTATED = frozenset({cpe.ANY, cpe.NA})
_NO_OTHERS = ":*:*:*:*:*:*"
_OTHERS = ("edition", "language", "sw_edition", "target_sw", "target_hw", "other")
_COVERS = frozenset({cpe.Relation.SUPERSET, cpe.Relation.EQUAL})


def _others(name: cpe.Name) -> list[tuple[str, str]]:
    """The attributes behind the update that a name states."""
    return [(key, value) for key in _OTHERS if (value := getattr(name, key)) != cpe.ANY]
