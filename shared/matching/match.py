"""Matching: which components are affected by which vulnerabilities.

Values of a platform operand (a criterion under `vulnerable: false`), for the asset's whole inventory:

* TRUE when a component meets the criterion;
* UNKNOWN when a component of the same product could not be compared, or the criterion names the product
  without a version (NA) while the inventory states it with one;
* FALSE when the inventory holds the product otherwise (another version), or states other operating systems
  (for a part `o`) or other hardware (`h`): then it says what the platform is;
* UNKNOWN otherwise: the inventory says nothing about it. For an application (`a`) an inventory that lacks it
  says nothing: it lists what one asset consists of, not what it talks to.

A vulnerable criterion is TRUE when met, UNKNOWN when a component could not be compared, otherwise FALSE.

Only criteria that the lookup keys find are compared; the others name products or versions that are not in the
inventory. A vulnerability with no met vulnerable criterion never matches, negated or not, because nobody
could be said to be affected: so candidates need only be sought through criteria that are met.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

import msgspec

from shared.matching import configurations
from shared.matching.certainty import Certainty, rank, weakest
from shared.matching.compare import Hit, Hits, Inventory, compare_criteria
from shared.matching.component import Component
from shared.matching.configurations import (
    FALSE,
    TRUE,
    UNKNOWN,
    Configuration,
    Contribution,
    Node,
    Operand,
    Path,
    Platform,
    Tree,
    Truth,
)
from shared.matching.criterion import Criterion
from shared.matching.identity import Origin


class Candidate(msgspec.Struct, frozen=True, gc=False):
    """A vulnerability that may match: its id, and its tree or the blob of it."""

    vulnerability_id: int
    tree: bytes | Tree
    met: Sequence[int] = ()
    """All its vulnerable criteria that are met, where that is known: a tree of plain ORs need not be decoded then."""


class Match(msgspec.Struct, frozen=True, gc=False):
    """A component is affected by a vulnerability, and why; `shared.matching.evidence` spells it out."""

    component: int
    """The index in the inventory."""

    vulnerability_id: int
    certainty: Certainty
    criterion_id: int
    hit: Hit
    place: Path | bytes
    """Where the criterion stands; or the tree of plain ORs, in which nobody has looked for it yet."""

    unknown: tuple[Platform, ...] = ()
    """The platform operands of the configuration about which the inventory says nothing."""

    cna: bool = False
    """Whether the CNA's own data says so, not NVD's analysis."""

    @property
    def path(self) -> Path:
        """Where the criterion stands."""
        return (
            configurations.find(self.place, self.criterion_id)
            if isinstance(self.place, bytes)
            else self.place
        )


def match(
    components: Sequence[Component], criteria: Mapping[int, Criterion], candidates: Iterable[Candidate]
) -> Iterator[Match]:
    """Every match, one for a component and vulnerability; the three steps of this module in one call."""
    inventory = Inventory(components)
    return match_candidates(inventory, compare_criteria(inventory, criteria), candidates)


def match_candidates(inventory: Inventory, hits: Hits, candidates: Iterable[Candidate]) -> Iterator[Match]:
    """Evaluate candidates' configurations, given which criteria are met."""
    truth = truths(inventory, hits)
    for candidate in candidates:
        number, tree = candidate.vulnerability_id, candidate.tree
        if isinstance(tree, bytes):
            if candidate.met and configurations.any_suffices(tree):
                yield from _by_any(number, tree, candidate.met, hits)
                continue
            tree = configurations.decode(tree)
        yield from _by_evaluation(number, tree, candidate.met or _met_of(tree, hits), hits, truth)


def _met_of(tree: Tree, hits: Hits) -> list[int]:
    """The vulnerable criteria of a tree that are met."""
    operands = (operand for _, operand in configurations.operands(tree) if isinstance(operand, int))
    return sorted(hits.met.keys() & operands)


def _by_any(number: int, tree: bytes, criteria: Iterable[int], hits: Hits) -> Iterable[Match]:
    """The matches of a vulnerability of which any criterion suffices: no evaluation could say more."""
    best: dict[int, Match] = {}
    for criterion in criteria:
        for hit in hits.met[criterion]:
            _keep(best, Match(hit.component, number, hit.certainty, criterion, hit, tree))
    return best.values()


def _by_evaluation(number: int, tree: Tree, met: Sequence[int], hits: Hits, truth: Truth) -> Iterable[Match]:
    best: dict[int, Match] = {}
    for index, configuration in enumerate(tree if met else ()):
        found = (
            _by_the_cna(number, configuration, index, met, hits)
            if configuration.cna
            else _by_the_nvd(number, configuration, index, met, hits, truth)
        )
        for each in found:
            _keep(best, each)
    return best.values()


def _by_the_nvd(
    number: int, configuration: Configuration, index: int, met: Sequence[int], hits: Hits, truth: Truth
) -> Iterator[Match]:
    reasons = _reasons(met, truth, configuration, index)
    open_question = any(reason.value == UNKNOWN for reason in reasons)
    platforms = _unknown(configuration, truth) if open_question else ()
    for reason in reasons:
        is_sure = reason.value == TRUE
        for hit in hits.met[reason.criterion]:
            sure = hit.certainty if is_sure else weakest(hit.certainty, Certainty.CONDITIONAL)
            place = hit.component, number, sure, reason.criterion, hit, reason.path
            yield Match(*place, () if is_sure else platforms)


def _by_the_cna(
    number: int, configuration: Configuration, index: int, met: Sequence[int], hits: Hits
) -> Iterator[Match]:
    """Each component by itself: that another version of it stands beside it says nothing about its own."""
    through: dict[int, dict[int, Hit]] = {}
    for criterion in met:
        for hit in hits.met[criterion]:
            through.setdefault(hit.component, {}).setdefault(criterion, hit)
    for component, own in through.items():
        for reason in _reasons(list(own), _truth_of(component, own, hits), configuration, index):
            place = (
                component,
                number,
                Certainty.POSSIBLE,
                reason.criterion,
                own[reason.criterion],
                reason.path,
            )
            yield Match(*place, cna=True)


def _truth_of(component: int, met: Mapping[int, Hit], hits: Hits) -> Truth:
    """FALSE, UNKNOWN or TRUE for a criterion, as far as one component is concerned."""

    def truth(operand: Operand) -> int:
        if operand in met:
            return TRUE
        undecided = hits.undecided.get(operand, ()) if isinstance(operand, int) else ()
        return UNKNOWN if any(index == component for index, _ in undecided) else FALSE

    return truth


def _keep(best: dict[int, Match], found: Match) -> None:
    """Keep a component's best match."""
    known = best.get(found.component)
    if known is None or _is_better(found, known):
        best[found.component] = found


def _is_better(found: Match, known: Match) -> bool:
    """Surer; otherwise assuming less; otherwise by the stronger identifier."""
    if found.certainty is not known.certainty:
        return rank(found.certainty) < rank(known.certainty)
    assumed = len(found.unknown) + len(found.hit.not_stated), len(known.unknown) + len(known.hit.not_stated)
    if assumed[0] != assumed[1]:
        return assumed[0] < assumed[1]
    return found.hit.identity.origin is Origin.CPE and known.hit.identity.origin is not Origin.CPE


def truths(inventory: Inventory, hits: Hits) -> Truth:
    """FALSE, UNKNOWN or TRUE for an operand, by the rules above."""
    met, undecided = hits.met, hits.undecided

    def truth(operand: Operand) -> int:
        if isinstance(operand, int):
            return TRUE if operand in met else UNKNOWN if operand in undecided else FALSE
        if operand.criterion in met:
            return TRUE
        if operand.criterion in undecided or operand.criterion in hits.unnamed:
            return UNKNOWN
        if operand.product_key in inventory.by_product:
            return FALSE
        part = operand.product_key[:1]
        return FALSE if part in _PLATFORM_PARTS and part in inventory.parts else UNKNOWN

    return truth


_PLATFORM_PARTS = frozenset({"o", "h"})


def _reasons(
    met: Sequence[int], truth: Truth, configuration: Configuration, index: int
) -> Sequence[Contribution]:
    """The met criteria that make the configuration true, or leave it unknown.

    Two shapes, which are nearly all, are read off without a walk: a plain OR, and an AND of plain ORs (software on a
    platform).
    """
    nodes = configuration.nodes
    if not any(_touches(node, met) for node in nodes):
        return ()
    if configurations.is_plain(configuration):
        return _held(nodes[0], (index, 0), met)
    if configuration.every and not configuration.negate and all(map(configurations.is_plain_node, nodes)):
        return _all_of(nodes, index, met, truth)
    return configurations.evaluate(configuration, truth, index).contributions


def _touches(node: Node, met: Sequence[int]) -> bool:
    """Whether a node holds a vulnerable criterion that is met."""
    for each in met:  # few: quicker than to hash all operands
        if each in node.operands:
            return True
    return bool(node.children) and any(_touches(child, met) for child in node.children)


def _held(node: Node, path: Path, met: Sequence[int]) -> list[Contribution]:
    """The criteria of a plain node that are met, in its order."""
    places = sorted((node.operands.index(each), each) for each in met if each in node.operands)
    return [Contribution((*path, place), each, TRUE) for place, each in places]


def _all_of(nodes: Sequence[Node], index: int, met: Sequence[int], truth: Truth) -> list[Contribution]:
    """What is met in an AND of plain nodes, as true as the least of them; one without operands says nothing."""
    found = [_held(node, (index, number), met) for number, node in enumerate(nodes)]
    least = min(
        TRUE if here else max(map(truth, node.operands))
        for here, node in zip(found, nodes, strict=True)
        if node.operands
    )
    every = [each for here in found for each in here] if least != FALSE else []
    return every if least == TRUE else [Contribution(each.path, each.criterion, least) for each in every]


def _unknown(configuration: Configuration, truth: Truth) -> tuple[Platform, ...]:
    return tuple(
        operand
        for _, operand in configurations.operands((configuration,))
        if isinstance(operand, Platform) and truth(operand) == UNKNOWN
    )


__all__ = ["FALSE", "TRUE", "UNKNOWN", "Candidate", "Match", "match", "match_candidates", "truths"]
