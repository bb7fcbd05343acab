"""Why a component is affected by a vulnerability, or why not."""

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

import msgspec

from shared.matching import configurations, cpe
from shared.matching.compare import Inventory, PreparedCriterion, Shared, compare_criteria
from shared.matching.component import Component
from shared.matching.configurations import FALSE, Platform, Tree
from shared.matching.criterion import EVERY_PRODUCT, Criterion
from shared.matching.evidence import describe_criterion, describe_range, evidence, version_tests
from shared.matching.identity import Identity
from shared.matching.match import Candidate, match_candidates, truths
from shared.matching.reason import Reason


class NearMiss(msgspec.Struct, frozen=True):
    """A vulnerable criterion that the component does not meet, and why."""

    reason: Reason
    path: str
    criterion: dict[str, str]
    identifier: str
    """The CPE name that it was compared with."""

    comparison: str
    """The comparison of versions, spelled out."""


class Explanation(msgspec.Struct, frozen=True):
    """The answer for one component and vulnerability."""

    matches: bool
    reason: Reason | None
    """Why not; None when it matches."""

    sentence: str
    evidence: dict[str, Any] | None = None
    """Of the match, as `shared.matching.evidence` makes it."""

    near_misses: tuple[NearMiss, ...] = ()
    """What came closest, the closest first."""


MAX_NEAR_MISSES = 20
REJECTED_STATUS = "rejected"


def explain(
    components: Sequence[Component],
    component_index: int,
    criteria: Mapping[int, Criterion],
    tree: Tree,
    status: str = "",
) -> Explanation:
    """Whether a component of an asset is affected by a vulnerability, and why, or why not.

    `criteria` are those of the tree, by the ids used in it; `status` is the record's `vulnStatus`.
    """
    component = components[component_index]
    if status.lower() == REJECTED_STATUS:
        return _no(Reason.REJECTED, "The record was rejected: there is no such vulnerability.")
    if not any(not isinstance(operand, Platform) for _, operand in configurations.operands(tree)):
        told = f" (its status is {status!r})" if status else ""
        return _no(Reason.NOT_ANALYSED, f"The record names no affected product that can be compared{told}.")
    inventory = Inventory(components)
    hits = compare_criteria(inventory, criteria)
    for found in match_candidates(inventory, hits, [Candidate(0, tree)]):
        if found.component == component_index:
            shown = evidence(found)
            return Explanation(matches=True, reason=None, sentence=shown["sentence"], evidence=shown)
    own = {number for number, met in hits.met.items() if any(hit.component == component_index for hit in met)}
    if own and any(each.cna for each in tree):
        return _excepted(component, criteria, tree, own)
    if own:
        return _platform_not_met(component, component_index, inventory, criteria, tree)
    misses = sorted(_misses(inventory.identities[component_index], criteria, tree), key=_closeness)
    if not misses:
        return _no_identifier(component, inventory.identities[component_index], criteria, tree)
    return _missed(component, misses)


def _no(reason: Reason, sentence: str, misses: Sequence[NearMiss] = ()) -> Explanation:
    return Explanation(
        matches=False, reason=reason, sentence=sentence, near_misses=tuple(misses[:MAX_NEAR_MISSES])
    )


def _misses(
    identities: Sequence[Identity], criteria: Mapping[int, Criterion], tree: Tree
) -> Iterator[NearMiss]:
    """Every comparison of a vulnerable criterion with an identity of the same product."""
    shared = Shared()
    for path, operand in configurations.operands(tree):
        if isinstance(operand, Platform) or operand not in criteria:
            continue
        prepared = PreparedCriterion(criteria[operand], shared)
        for identity in identities:
            if prepared.product_key not in {identity.product_key, EVERY_PRODUCT}:
                continue
            outcome = prepared.compare(identity)
            if isinstance(outcome, Reason) and outcome is not Reason.NO_IDENTIFIER:
                yield _miss(
                    outcome, configurations.spell(path, cna=tree[path[0]].cna), criteria[operand], identity
                )


def _miss(reason: Reason, path: str, criterion: Criterion, identity: Identity) -> NearMiss:
    tests, _ = version_tests(criterion, identity)
    return NearMiss(reason, path, describe_criterion(criterion), identity.label, " and ".join(tests))


_CLOSENESS = (
    Reason.VERSION_UNDECIDED,
    Reason.VERSION_UNKNOWN,
    Reason.VERSION_OUTSIDE,
    Reason.VERSION_NOT_NAMED,
    Reason.ATTRIBUTE_DIFFERS,
    Reason.ECOSYSTEM_DIFFERS,
    Reason.UNREADABLE,
)


def _closeness(miss: NearMiss) -> int:
    return _CLOSENESS.index(miss.reason)


def _missed(component: Component, misses: Sequence[NearMiss]) -> Explanation:
    first = misses[0]
    subject = f"{component.name} {component.version}".strip() or first.identifier
    criteria = (
        f"{first.criterion['criteria']}{describe_range(_criterion(first))}"
        if first.criterion
        else "a criterion"
    )
    sentences = {
        Reason.VERSION_OUTSIDE: f"{subject} is not affected: the record names {criteria}; {first.comparison}.",
        Reason.VERSION_NOT_NAMED: f"{subject} is not affected: the record names {criteria}, without a version.",
        Reason.VERSION_UNKNOWN: f"Undecided: the record names {criteria}, and the version of {subject} is unknown.",
        Reason.VERSION_UNDECIDED: f"Undecided: the record names {criteria}; no order decides {first.comparison}.",
        Reason.ATTRIBUTE_DIFFERS: f"{subject} is not affected: {first.identifier} differs from {criteria}.",
        Reason.ECOSYSTEM_DIFFERS: f"{subject} is not affected: {criteria} is about other software of that name.",
        Reason.UNREADABLE: f"Undecided: the record's CPE name {criteria} breaks the grammar.",
    }
    return _no(first.reason, sentences[first.reason], misses)


def _criterion(miss: NearMiss) -> Criterion:
    return Criterion(
        miss.criterion["criteria"],
        miss.criterion.get("versionStartIncluding"),
        miss.criterion.get("versionStartExcluding"),
        miss.criterion.get("versionEndIncluding"),
        miss.criterion.get("versionEndExcluding"),
    )


def _no_identifier(
    component: Component, identities: Sequence[Identity], criteria: Mapping[int, Criterion], tree: Tree
) -> Explanation:
    own = sorted({_readable(identity.product_key) for identity in identities if not identity.package})
    theirs = sorted(
        {
            _readable(criteria[operand].index_key[0])
            for _, operand in configurations.operands(tree)
            if not isinstance(operand, Platform) and operand in criteria
        }
    )
    known = (
        f"is known as {_listed(own)}" if own else "has neither a CPE name nor a package URL that can be read"
    )
    return _no(
        Reason.NO_IDENTIFIER, f"{component.name or 'It'} {known}; the record is about {_listed(theirs)}."
    )


def _readable(product_key: str) -> str:
    return cpe.unquote(product_key)


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _excepted(
    component: Component, criteria: Mapping[int, Criterion], tree: Tree, own: Set[int]
) -> Explanation:
    """The CNA calls every version affected by default, and the component's is among those that it excepts."""
    excepted = next(
        criteria[operand]
        for path, operand in configurations.operands(tree)
        if isinstance(operand, int) and operand in own and configurations.is_exception(path)
    )
    return _no(
        Reason.VERSION_OUTSIDE,
        f"{component.name} {component.version} is not affected: the CNA's data names every version of it but those that "
        f"are {excepted.criteria}{describe_range(excepted)}.",
    )


def _platform_not_met(
    component: Component, index: int, inventory: Inventory, criteria: Mapping[int, Criterion], tree: Tree
) -> Explanation:
    """The component meets a criterion, but what stands beside it is false: name those operands."""
    hits = compare_criteria(inventory, criteria)
    truth = truths(inventory, hits)
    missing = []
    for configuration in tree:
        operands = [operand for _, operand in configurations.operands((configuration,))]
        met = (hits.met.get(operand, ()) for operand in operands if not isinstance(operand, Platform))
        if any(hit.component == index for each in met for hit in each):
            missing += [_criteria_of(operand, criteria) for operand in operands if truth(operand) == FALSE]
    names = _listed(list(dict.fromkeys(missing)))
    return _no(
        Reason.PLATFORM_NOT_MET,
        f"{component.name} {component.version} meets the criterion, but not what the configuration wants beside it: "
        f"the inventory has none of {names}.",
    )


def _criteria_of(operand: configurations.Operand, criteria: Mapping[int, Criterion]) -> str:
    number = operand.criterion if isinstance(operand, Platform) else operand
    return criteria[number].criteria + describe_range(criteria[number]) if number in criteria else "?"
