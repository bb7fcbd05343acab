"""NVD configurations as trees of criteria, and their exact three-valued evaluation.

A record's `configurations` are alternatives. Each is the OR or AND of its nodes, a node the OR or AND of its
criteria (and of its `children`, which the 1.1 feeds had); `negate` inverts either. A missing operator is OR.

A criterion under `vulnerable: true` is true when a component matches it. One under `vulnerable: false` is a
*platform operand*: what the vulnerable software runs on or with. It can be unknown: see
`shared.matching.match`. Values are FALSE < UNKNOWN < TRUE, so AND is the minimum, OR the maximum (Kleene).
That is exact as long as no unknown operand occurs both plainly and negated; those few are enumerated, so that
*a or not a* is true, not unknown.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from typing import Any, TypeVar

import msgspec

from shared.matching.criterion import Criterion

FALSE, UNKNOWN, TRUE = 0, 1, 2

Path = tuple[int, ...]
"""Where an operand stands: configuration, node, (child, ...) and index in the operands."""


class Platform(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A platform operand; its product key tells whether the inventory says anything about it."""

    criterion: int
    product_key: str


Operand = int | Platform
"""The id of a vulnerable criterion, or a platform operand."""


class Node(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A node: the AND (`every`) or OR of its operands and children."""

    every: bool
    negate: bool
    operands: tuple[Operand, ...]
    children: tuple["Node", ...] = ()


class Configuration(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A configuration: the AND (`every`) or OR of its nodes."""

    every: bool
    negate: bool
    nodes: tuple[Node, ...]
    cna: bool = False
    """Whether it was read from the CNA's own data by `shared.matching.affected`: second-class evidence."""


Tree = tuple[Configuration, ...]
"""A record's configurations: alternatives."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Tree)
_alternatives = msgspec.msgpack.Decoder(tuple[tuple[Operand, ...], ...])
_ANY = b"\xc1"
"""How the blob of a tree of plain ORs begins: the one byte with which no MessagePack begins."""


def encode(tree: Tree) -> bytes:
    """The tree as a small blob: MessagePack; of nothing but plain ORs (seven of eight) just their operands."""
    if all(is_plain(each) and not each.cna for each in tree):
        return _ANY + _encoder.encode([each.nodes[0].operands for each in tree])
    return _encoder.encode(tree)


def decode(blob: bytes) -> Tree:
    """The tree of a blob that `encode` wrote."""
    if not any_suffices(blob):
        return _decoder.decode(blob)
    return tuple([Configuration(False, False, (Node(False, False, each),)) for each in _operands_of(blob)])


def any_suffices(blob: bytes) -> bool:
    """Whether a vulnerability with this tree affects whatever meets any one of its vulnerable criteria.

    Told without decoding. A blob from before the difference was made says no, and means the same when evaluated.
    """
    return blob.startswith(_ANY)


def find(blob: bytes, criterion: int) -> Path:
    """Where a vulnerable criterion stands first in a tree of which any suffices."""
    for index, operands in enumerate(_operands_of(blob)):
        if criterion in operands:
            return index, 0, operands.index(criterion)
    raise ValueError(f"criterion {criterion} is not in the tree")


def _operands_of(blob: bytes) -> tuple[tuple[Operand, ...], ...]:
    return _alternatives.decode(memoryview(blob)[len(_ANY) :])


def is_plain(configuration: Configuration) -> bool:
    """The common case: one node that is an OR of criteria."""
    nodes = configuration.nodes
    return len(nodes) == 1 and not configuration.negate and is_plain_node(nodes[0])


def is_plain_node(node: Node) -> bool:
    """Whether a node is an OR of criteria and nothing else."""
    return not (node.every or node.negate or node.children)


def from_record(configurations: Any) -> tuple[Tree, list[Criterion]]:
    """Read a record's `configurations`: the tree, and its criteria, numbered in order of first use.

    Takes the decoded value or its JSON (`bytes` or `msgspec.Raw`, which is faster). Equal criteria get one
    number. Unknown fields are ignored and what is missing or of the wrong type is empty: positions stay those
    of the record. Use `renumber` to put ids of one's own in place of the numbers.
    """
    try:
        if isinstance(configurations, _JSON):
            listed = _json_decoder.decode(configurations)
        else:
            listed = msgspec.convert(configurations, list[_Configuration])
    except msgspec.ValidationError:
        listed = _tidy(configurations)
    reader = _Reader()
    return tuple([reader.configuration(each) for each in listed]), list(reader.numbers)


def renumber(tree: Tree, ids: Sequence[int]) -> Tree:
    """The tree with `ids[n]` in place of the criterion number n; ids are at least 0 and below 2**63."""

    def node(each: Node) -> Node:
        operands = [
            ids[operand]
            if isinstance(operand, int)
            else Platform(ids[operand.criterion], operand.product_key)
            for operand in each.operands
        ]
        return Node(each.every, each.negate, tuple(operands), tuple(map(node, each.children)))

    return tuple(
        [Configuration(each.every, each.negate, tuple(map(node, each.nodes)), each.cna) for each in tree]
    )


class _Match(msgspec.Struct, rename="camel", gc=False):
    """An entry of `cpeMatch` as the record writes it."""

    criteria: str = ""
    vulnerable: bool = True
    version_start_including: str | None = None
    version_start_excluding: str | None = None
    version_end_including: str | None = None
    version_end_excluding: str | None = None
    match_criteria_id: str | None = None


class _Node(msgspec.Struct, rename="camel", gc=False):
    operator: str = "OR"
    negate: bool = False
    cpe_match: list[_Match] = []
    children: list["_Node"] = []


class _Configuration(msgspec.Struct, rename="camel", gc=False):
    operator: str = "OR"
    negate: bool = False
    nodes: list[_Node] = []


_JSON = (bytes, msgspec.Raw)
_json_decoder = msgspec.json.Decoder(list[_Configuration])


class _Reader:
    """Builds a tree and numbers its criteria."""

    def __init__(self) -> None:
        self.numbers: dict[Criterion, int] = {}

    def configuration(self, value: _Configuration) -> Configuration:
        return Configuration(
            _every(value.operator), value.negate, tuple([self.node(each) for each in value.nodes])
        )

    def node(self, value: _Node) -> Node:
        operands = tuple([self.operand(each) for each in value.cpe_match])
        children = tuple([self.node(each) for each in value.children])
        return Node(_every(value.operator), value.negate, operands, children)

    def operand(self, value: _Match) -> Operand:
        criterion = Criterion(
            value.criteria,
            value.version_start_including,
            value.version_start_excluding,
            value.version_end_including,
            value.version_end_excluding,
            value.match_criteria_id,
        )
        number = self.numbers.setdefault(criterion, len(self.numbers))
        return number if value.vulnerable else Platform(number, criterion.index_key[0])


def _every(operator: str) -> bool:
    return operator.upper() == "AND"


def _tidy(value: Any) -> list[_Configuration]:
    """Read what does not have the record's shape: entries of the wrong type count as missing."""
    return [
        _read(_Configuration, each, {"nodes": _tidy_nodes(each, "nodes")})
        for each in _entries(decoded(value))
    ]


def decoded(value: Any) -> Any:
    """The value of JSON that is still text."""
    return msgspec.json.decode(value) if isinstance(value, _JSON) else value


def _tidy_nodes(parent: Any, field: str) -> list[_Node]:
    nodes = _entries(parent.get(field)) if isinstance(parent, dict) else []
    return [
        _read(
            _Node,
            each,
            {
                "cpe_match": [_read(_Match, match, {}) for match in _entries(_get(each, "cpeMatch"))],
                "children": _tidy_nodes(each, "children"),
            },
        )
        for each in nodes
    ]


def _entries(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _get(value: Any, field: str) -> Any:
    return value.get(field) if isinstance(value, dict) else None


_Read = TypeVar("_Read", _Match, _Node, _Configuration)


def _read(kind: type[_Read], value: Any, lists: dict[str, Any]) -> _Read:
    """A struct of the fields that have the type they should, `lists` being read already."""
    known: dict[str, Any] = dict(lists)
    for field in msgspec.structs.fields(kind):
        found = _get(value, field.encode_name)
        if field.name not in lists and isinstance(found, str | bool) and type(found) in _types(field.type):
            known[field.name] = found
    return kind(**known)


def _types(annotation: Any) -> tuple[Any, ...]:
    return (bool,) if annotation is bool else (str,)


def operands(tree: Tree) -> Iterator[tuple[Path, Operand]]:
    """Every operand with its path, in the record's order."""
    for index, configuration in enumerate(tree):
        for number, node in enumerate(configuration.nodes):
            yield from _operands(node, (index, number))


def _operands(node: Node, path: Path) -> Iterator[tuple[Path, Operand]]:
    for index, operand in enumerate(node.operands):
        yield (*path, index), operand
    for index, child in enumerate(node.children):
        yield from _operands(child, (*path, index))


def spell(path: Path, *, cna: bool = False) -> str:
    """The path in the record's own words: ``configurations[0].nodes[1].cpeMatch[3]``."""
    if cna:
        place = "defaultStatus" if len(path) > 4 else f"versions[{path[2]}]"
        return f"affected[{path[0]}].affectedData[{path[1]}].{place}"
    children = "".join(f".children[{index}]" for index in path[2:-1])
    return f"configurations[{path[0]}].nodes[{path[1]}]{children}.cpeMatch[{path[-1]}]"


def is_exception(path: Path) -> bool:
    """Whether an operand of the CNA's data is what its `defaultStatus` does not hold for; see `shared.matching.affected`."""
    return len(path) > 4 and path[3] == 1


Truth = Callable[[Operand], int]
"""What is known of an operand: FALSE, UNKNOWN or TRUE."""


class Contribution(msgspec.Struct, frozen=True, gc=False):
    """A vulnerable criterion that holds and makes its configuration TRUE, or leaves it UNKNOWN."""

    path: Path
    criterion: int
    value: int


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """What a configuration comes to, and through which vulnerable criteria."""

    value: int
    contributions: tuple[Contribution, ...]


def evaluate(configuration: Configuration, truth: Truth, index: int = 0) -> Evaluation:
    """Evaluate one configuration, the record's `index`-th.

    A criterion contributes when it is true, stands under no or an even number of negations, and everything
    that it is ANDed with on its way up is not false; its value is the least of those. The others on its way
    up that are ORed with it do not matter: each branch of an OR that holds is a reason of its own.
    """
    mixed = _mixed(configuration, truth)
    if not mixed:
        return _Pass(truth, index).run(configuration)
    runs = []
    for values in product((FALSE, TRUE), repeat=len(mixed)):
        assumed = dict(zip(mixed, values, strict=True))
        runs.append(_Pass(lambda operand, assumed=assumed: assumed.get(operand, truth(operand)), index))  # type: ignore[misc]
    return _combine([each.run(configuration) for each in runs], truth)


_MOST_MIXED = 8


def _mixed(configuration: Configuration, truth: Truth) -> tuple[Operand, ...]:
    """The unknown operands that occur both plainly and negated; none when they are too many to enumerate."""
    if not configuration.negate and not any(map(_negates, configuration.nodes)):
        return ()
    plain: set[Operand] = set()
    negated: set[Operand] = set()
    for node in configuration.nodes:
        _polarities(node, (negated, plain) if configuration.negate else (plain, negated))
    mixed = tuple(operand for operand in plain & negated if truth(operand) == UNKNOWN)
    return mixed if len(mixed) <= _MOST_MIXED else ()


def _negates(node: Node) -> bool:
    return node.negate or any(map(_negates, node.children))


def _polarities(node: Node, into: tuple[set[Operand], set[Operand]]) -> None:
    into = (into[1], into[0]) if node.negate else into
    into[0].update(node.operands)
    for child in node.children:
        _polarities(child, into)


def _combine(runs: list[Evaluation], truth: Truth) -> Evaluation:
    """One evaluation of several under different assumptions: what they agree on, otherwise UNKNOWN."""
    values: dict[tuple[Path, int], list[int]] = {}
    for run in runs:
        for each in run.contributions:
            values.setdefault((each.path, each.criterion), []).append(each.value)
    contributions = tuple(
        Contribution(path, criterion, TRUE if len(seen) == len(runs) and min(seen) == TRUE else UNKNOWN)
        for (path, criterion), seen in values.items()
        if truth(criterion) == TRUE  # not only assumed
    )
    outcomes = {run.value for run in runs}
    return Evaluation(outcomes.pop() if len(outcomes) == 1 else UNKNOWN, contributions)


class _Pass:
    """One walk over a configuration: values bottom up, contributions collected on the way back."""

    def __init__(self, truth: Truth, index: int) -> None:
        self._truth = truth
        self._index = index

    def run(self, configuration: Configuration) -> Evaluation:
        values: list[int] = []
        found: list[Contribution] = []
        for number, node in enumerate(configuration.nodes):
            self._node(node, (self._index, number), configuration.negate, (values, found))
        value, found = _join(values, found, configuration, negated=False)
        return Evaluation(FALSE if value is None else value, tuple(found))

    def _node(
        self, node: Node, path: Path, negated: bool, into: tuple[list[int], list[Contribution]]
    ) -> None:
        """Add a node's value, if it has any, and its contributions to those of what it stands in."""
        inside = negated != node.negate
        values = list(map(self._truth, node.operands))
        found = _true_operands(node, values, path) if TRUE in values and not inside else []
        for index, child in enumerate(node.children):
            self._node(child, (*path, index), inside, (values, found))
        total, found = _join(values, found, node, negated)
        if total is not None:
            into[0].append(total)
            into[1].extend(found)


def _true_operands(node: Node, values: Sequence[int], path: Path) -> list[Contribution]:
    return [
        Contribution((*path, index), operand, TRUE)
        for index, (operand, value) in enumerate(zip(node.operands, values, strict=True))
        if value == TRUE and isinstance(operand, int)
    ]


def _join(
    values: list[int], found: list[Contribution], part: Node | Configuration, negated: bool
) -> tuple[int | None, list[Contribution]]:
    """AND or OR of values, and what is left of the contributions; a part without operands says nothing.

    `negated` tells whether the part stands under an odd number of negations, not counting its own.
    """
    if not values:
        return None, []
    raw = min(values) if part.every else max(values)
    odd = negated != part.negate
    limit = TRUE - raw if odd else raw
    # An AND limits; and so does an OR under an odd number of negations, which acts as one (De Morgan).
    if part.every != odd and limit != TRUE:
        found = [] if limit == FALSE else [Contribution(each.path, each.criterion, limit) for each in found]
    return TRUE - raw if part.negate else raw, found
