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

from collections.abc import Iterable, Iterator, KeysView, Mapping, Sequence

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


class Match(msgspec.Struct, frozen=True, gc=False):
    """A component is affected by a vulnerability, and why; `shared.matching.evidence` spells it out."""

    component: int
    """The index in the inventory."""

    vulnerability_id: int
    certainty: Certainty
    criterion_id: int
    hit: Hit
    path: Path
    unknown: tuple[Platform, ...] = ()
    """The platform operands of the configuration about which the inventory says nothing."""

    cna: bool = False
    """Whether the CNA's own data says so, not NVD's analysis."""


def match(
    components: Sequence[Component], criteria: Mapping[int, Criterion], candidates: Iterable[Candidate]
) -> Iterator[Match]:
    """Every match, one for a component and vulnerability; the three steps of this module in one call."""
    inventory = Inventory(components)
    return match_candidates(inventory, compare_criteria(inventory, criteria), candidates)


def match_candidates(inventory: Inventory, hits: Hits, candidates: Iterable[Candidate]) -> Iterator[Match]:
    """Evaluate candidates' configurations, given which criteria are met."""
    met = hits.met
    truth = truths(inventory, hits)
    for candidate in candidates:
        number, tree = candidate.vulnerability_id, candidate.tree
        if isinstance(tree, bytes):
            tree = configurations.decode(tree)
        best: dict[int, Match] = {}
        for index, configuration in enumerate(tree):
            cna = configuration.cna
            for reason in _reasons(met, truth, configuration, index):
                unknown = _unknown(configuration, truth) if reason.value == UNKNOWN else ()
                for hit in met[reason.criterion]:
                    sure = hit.certainty if reason.value == TRUE and not cna else _limited(hit, cna=cna)
                    found = Match(
                        hit.component, number, sure, reason.criterion, hit, reason.path, unknown, cna
                    )
                    known = best.get(hit.component)
                    if known is None or _is_better(found, known):
                        best[hit.component] = found
        yield from best.values()


def _limited(hit: Hit, *, cna: bool) -> Certainty:
    """How sure a match is on a condition, or by the CNA's own data."""
    return Certainty.POSSIBLE if cna else weakest(hit.certainty, Certainty.CONDITIONAL)


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
    met: Mapping[int, object], truth: Truth, configuration: Configuration, index: int
) -> Sequence[Contribution]:
    """The met criteria that make the configuration true, or leave it unknown."""
    if _is_flat(configuration):
        operands = configuration.nodes[0].operands
        found = met.keys() & operands  # platform operands are never equal to an id
        return [Contribution((index, 0, operands.index(each)), each, TRUE) for each in sorted(found)]
    if not any(_touches(node, met.keys()) for node in configuration.nodes):
        return ()
    return configurations.evaluate(configuration, truth, index).contributions


def _touches(node: Node, met: KeysView[int]) -> bool:
    """Whether a node holds a vulnerable criterion that is met."""
    return not met.isdisjoint(node.operands) or any(_touches(child, met) for child in node.children)


def _is_flat(configuration: Configuration) -> bool:
    """The common case: one node that is an OR of criteria."""
    if configuration.negate or len(configuration.nodes) != 1:
        return False
    node = configuration.nodes[0]
    return not (node.every or node.negate or node.children)


def _unknown(configuration: Configuration, truth: Truth) -> tuple[Platform, ...]:
    return tuple(
        operand
        for _, operand in configurations.operands((configuration,))
        if isinstance(operand, Platform) and truth(operand) == UNKNOWN
    )


__all__ = ["FALSE", "TRUE", "UNKNOWN", "Candidate", "Match", "match", "match_candidates", "truths"]
